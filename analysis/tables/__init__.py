"""Out of MLflow into flat tables."""
