"""The report's chapters by topic: each writes its part of a page, from one set of tables."""
