"""Intervals, tests and calibration."""
