"""Ids of nothing."""

UNKNOWN_ID = "3f5b1c1e-8a53-4c4f-9d0a-6f2b7f0e4d11"
"""For the parameters of a test, whose names have to be the same in each process that runs tests."""
