"""Webhooks: the callers' secrets, and what operators see and do."""
