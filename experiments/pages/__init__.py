"""Pages and pictures that show cells of a data set."""
