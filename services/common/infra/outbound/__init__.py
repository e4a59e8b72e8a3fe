"""Requests to addresses that callers have named: webhooks, and sources of images."""
