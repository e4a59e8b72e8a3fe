"""Limits the e-mails per second to the mail server that is set, for all mailers together."""

import threading
from dataclasses import dataclass

import redis

from services.common.infra import log
from services.common.infra.rate_limiter import RateLimiter, Spacing

BURST_SECONDS = 2
"""So far ahead of the rate may order e-mails and confirmations be; e-mails of a mailing never, so that others pass."""
_POLL_SECONDS = 1.0
"""Longest sleep at a time: others may have stopped sending, and the mailer may have to stop."""

_log = log.get(__name__)


class MailerStopping(Exception):
    """The mailer was asked to stop while an e-mail waited for the rate."""


@dataclass(frozen=True, kw_only=True)
class SendRate:
    """The rate for one mail server."""

    limiter: RateLimiter
    server: str
    rate: float | None
    """E-mails a second; None: no limit."""
    stopping: threading.Event

    def wait(self, *, bulk: bool) -> None:
        """Wait until an e-mail may be sent.

        Raises:
            MailerStopping: It may not be sent any more.
        """
        while self.rate and (seconds := self._take(self.rate, bulk=bulk)):
            if self.stopping.wait(min(seconds, _POLL_SECONDS)):
                raise MailerStopping

    def _take(self, rate: float, *, bulk: bool) -> float:
        """Return the seconds until the next poll; 0: the e-mail may be sent, and was counted."""
        tolerance = 0.0 if bulk else BURST_SECONDS
        spacing = Spacing(interval=1 / rate, tolerance=tolerance, most_tolerance=BURST_SECONDS)
        try:
            return self.limiter.take(self.server, spacing)
        except redis.RedisError as error:
            # Rather slower than allowed than faster, or not at all.
            _log.warning("rate limit kept by this mailer alone", error=str(error))
            self.stopping.wait(4 / rate)
            return 0.0
