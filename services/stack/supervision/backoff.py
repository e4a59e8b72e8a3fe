"""Delay before a program that ended is restarted."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STEADY_AFTER = 60.0


class Backoff:
    """Doubles the delay with every early end; resets once the program has run for a minute."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY

    def delay_after(self, lived: float) -> float:
        """Return the seconds to wait after a program that ran for `lived` seconds."""
        if lived >= STEADY_AFTER:
            self._next = FIRST_DELAY
        delay = self._next
        self._next = min(2 * delay, LONGEST_DELAY)
        return delay
