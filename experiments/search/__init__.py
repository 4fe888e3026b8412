"""Tuning arms on equal terms."""
