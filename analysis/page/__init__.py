"""How a page, its figures and its numbers look."""
