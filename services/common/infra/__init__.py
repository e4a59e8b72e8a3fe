"""Adapters and process plumbing that every service uses: broker, blob store, settings, logs, metrics."""
