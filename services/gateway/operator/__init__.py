"""OperatorService: queues, failures, mailings, keys, audit."""
