"""Spreads e-mails over time, for all mailers together: so many a second for the mail server that is set."""

import threading
from dataclasses import dataclass

import redis

from services.common.infra import log
from services.common.infra.rate_limiter import RateLimiter, Spacing
from services.mailer.smtp.sender import Unreachable

_LOOK_SECONDS = 1.0
"""Longest sleep at a time: others may have stopped taking tokens, and the mailer may be told to stop."""
BURST_SECONDS = 2
"""E-mails that somebody waits for may be so far ahead of the rate; those of a mailing never, and so let them pass."""

_log = log.get(__name__)


@dataclass(frozen=True)
class TokenBucket:
    """A bucket for one mail server. `rate`: e-mails a second; None: no limit."""

    limiter: RateLimiter
    server: str
    rate: float | None
    stopping: threading.Event

    def wait(self, *, bulk: bool) -> None:
        """Wait until an e-mail may go.

        Raises:
            Unreachable: The mailer is told to stop, and nothing was taken.
        """
        while self.rate and (seconds := self._take(self.rate, bulk=bulk)):
            if self.stopping.wait(min(seconds, _LOOK_SECONDS)):
                raise Unreachable("the mailer is stopping")

    def _take(self, rate: float, *, bulk: bool) -> float:
        """Seconds to wait before the next look; 0: taken."""
        spacing = Spacing(interval=1 / rate, tolerance=0.0 if bulk else BURST_SECONDS)
        try:
            return self.limiter.take(self.server, spacing)
        except redis.RedisError as error:
            # Slower than it may be, rather than faster or not at all.
            _log.warning("the rate is kept by this mailer alone", error=str(error))
            self.stopping.wait(4 / rate)
            return 0.0
