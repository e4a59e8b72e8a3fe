"""When an e-mail is tried again."""

_MAX_DELAY = 1800.0


def retry_delay(attempts: int) -> float:
    """Seconds until the next attempt after `attempts` (≥ 1) have failed: 1, 2, 4, … at most half an hour."""
    return min(_MAX_DELAY, 2.0 ** (attempts - 1))
