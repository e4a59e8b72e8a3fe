"""Statements about queues: depths, pauses, workers, failures, retries, statistics."""
