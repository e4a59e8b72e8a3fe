"""Instant calls between gateways and workers: over the broker, and over a socket of the same machine."""
