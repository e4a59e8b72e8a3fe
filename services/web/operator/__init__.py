"""The operator pages: queues, orders, failures, mailings, API keys, audit log."""
