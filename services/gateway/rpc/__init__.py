"""What surrounds every call: access, admission, errors, logs, limits."""
