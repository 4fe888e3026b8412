"""The published data set, fetched and checked."""
