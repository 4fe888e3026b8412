"""How fast a training is, and where its time goes."""
