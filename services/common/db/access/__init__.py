"""Statements about API keys and the audit log."""
