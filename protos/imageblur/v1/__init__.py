"""Version 1 of the interface: generated messages and stubs."""
