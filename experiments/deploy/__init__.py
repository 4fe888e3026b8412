"""A trained model at work: reading, voting, export, registry, serving."""
