"""Data sets that are composed: number strings, and MNIST as cells."""
