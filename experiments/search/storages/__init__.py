"""Where the studies of a search are kept: a journal, or a database."""
