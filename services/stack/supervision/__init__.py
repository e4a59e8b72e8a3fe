"""Processes of the stack: started, restarted, stopped, and cleaned up after a stack that was killed."""
