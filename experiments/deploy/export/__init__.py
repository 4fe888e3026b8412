"""A trained model as files for use elsewhere, and what it loses by that."""
