"""The web pages of visitors and operators: a client of the gateway."""
