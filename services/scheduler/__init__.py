"""The scheduler: decides what is due (mailings, lost work, expiry) and enqueues it for other services.

Any number may run: when two decide the same, conditional statements in the database let only one take effect.
"""
