"""Brings the composition up on a machine of its own, and walks an order through it."""
