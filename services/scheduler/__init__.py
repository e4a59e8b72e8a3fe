"""The scheduler: decides what is due (mailings, sweeps, expiry) and hands it to others, never does it itself.

Any number may run: what two of them decide at once is decided once, by the database.
"""
