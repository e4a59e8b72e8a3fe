"""SMTP: connections with a deadline for each step, transactions, replies, and the rate of sending."""
