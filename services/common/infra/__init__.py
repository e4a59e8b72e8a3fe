"""Infrastructure that every service uses: broker, blob store, settings, logs, metrics, traces."""
