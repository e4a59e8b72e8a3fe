"""The operator pages: signing in, API keys, the audit log."""
