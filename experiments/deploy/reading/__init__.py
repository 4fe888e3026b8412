"""New images are read: by which model, by several together, in which format, how surely."""
