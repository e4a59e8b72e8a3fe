"""Measurements: each prints its figures and starts what it measures."""
