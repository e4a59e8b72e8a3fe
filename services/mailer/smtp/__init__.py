"""Sends messages over SMTP: connections, deadlines, rate limit, replies."""
