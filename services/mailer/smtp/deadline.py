"""A moment that work must not pass."""

import time


class Deadline:
    """Counts from its creation."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left, more than 0.

        Raises:
            TimeoutError: There are none left.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left
