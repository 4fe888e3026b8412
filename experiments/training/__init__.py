"""One run, from data to record."""
