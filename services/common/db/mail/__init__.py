"""Statements about deliveries, e-mails, mailings, subscribers and operator jobs."""
