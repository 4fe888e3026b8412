"""A person confirms or corrects readings that are in doubt; what comes of it is a data set."""
