"""The message that travels: MIME parts, addresses, DKIM, archive."""
