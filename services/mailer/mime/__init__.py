"""MIME messages: addresses, headers and parts, DKIM signatures."""
