"""SMTP: connections with a deadline, transactions, replies, and the rate of sending."""
