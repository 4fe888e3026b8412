"""From finished runs to a verdict. Nothing here needs torch."""
