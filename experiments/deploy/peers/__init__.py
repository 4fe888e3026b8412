"""Public readers of any text beside the readers that come with the suite, on the same cells."""
