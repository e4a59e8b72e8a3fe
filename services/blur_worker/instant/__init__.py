"""Instant calls: one image, answered while its caller waits, in child processes of their own."""
