"""What a service does as a process: start, stop, fork, and what it may use of its machine."""
