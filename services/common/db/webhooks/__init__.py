"""Statements about events for webhooks, and about their secrets."""
