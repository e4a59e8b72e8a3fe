"""OperatorService: queues, orders, failures, mailings, personal data, API keys and the audit log."""
