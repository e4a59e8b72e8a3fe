"""OperatorService: queues, failures, events for webhooks, statistics."""
