"""How long each step of a session with a mail server may take, and a moment that a step must not pass."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepTimeouts:
    """Timeouts in seconds, of each step and not of an e-mail: one that is large, or a slow server, may take hours.

    The defaults are the least that RFC 5321, section 4.5.3.2, asks of clients.
    """

    reply: float = 300.0
    """For each reply up to the end of the e-mail, from its first byte to its last, and for each chunk to be read."""
    acceptance: float = 600.0
    """For the reply to the end of the e-mail, when the server stores and filters it. If none comes, nobody knows
    whether the server has the e-mail, and the next attempt may be a second copy."""


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
