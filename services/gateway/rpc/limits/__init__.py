"""What a caller may take of the gateway: calls, bytes in flight, calls per time."""
