"""When a letter is tried again, and when it is given up."""

MAX_ATTEMPTS = 20
"""About five hours: a server that is down for a night's maintenance, or that makes strangers wait (greylisting)."""
_MAX_DELAY = 1800.0


def retry_delay(attempts: int) -> float:
    """Seconds until the next attempt after `attempts` (≥ 1) have failed: 1, 2, 4, … at most half an hour."""
    return min(_MAX_DELAY, 2.0 ** (attempts - 1))
