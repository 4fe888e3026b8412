"""The runs in MLflow: the store, and each run while it is made."""
