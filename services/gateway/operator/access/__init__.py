"""OperatorService: API keys, the audit log, personal data."""
