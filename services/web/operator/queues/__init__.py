"""The operator pages: the overview, queues, failures, events for webhooks."""
