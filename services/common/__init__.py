"""What the services share: rules, contracts, database, broker, blobs, settings, logs."""
