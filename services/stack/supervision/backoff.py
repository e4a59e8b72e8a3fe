"""How long to wait before a program that ended is started again."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STEADY_AFTER = 60.0


class Backoff:
    """Doubles with every early end, and forgets once the program has lived a minute."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY

    def after(self, lived: float) -> float:
        """Seconds to wait after a program that lived so many seconds."""
        if lived >= STEADY_AFTER:
            self._next = FIRST_DELAY
        delay = self._next
        self._next = min(2 * delay, LONGEST_DELAY)
        return delay
