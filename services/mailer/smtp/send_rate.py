"""Limits the e-mails per second to the mail server that is set, for all mailers together."""

import threading
from dataclasses import dataclass
from typing import cast

import redis

from services.common.infra import log

BURST_SECONDS = 2
"""So far ahead of the rate may order e-mails and confirmations be; e-mails of a mailing never, so that others pass."""
_POLL_SECONDS = 1.0
"""Longest sleep at a time: others may have stopped sending, and the mailer may have to stop."""
# GCRA by the clock of the broker, which all mailers share: the key is the theoretical arrival time. An e-mail may be
# sent if that time is no further ahead than its tolerance.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
if full - now > tolerance then return full - now - tolerance end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
return 0
"""

_log = log.get(__name__)


class MailerStopping(Exception):
    """The mailer was asked to stop while an e-mail waited for the rate."""


@dataclass(frozen=True, kw_only=True)
class SendRate:
    """The rate for one mail server."""

    client: redis.Redis
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
        interval = 1_000_000 / rate
        tolerance = 0.0 if bulk else BURST_SECONDS * 1_000_000
        try:
            wait = self.client.eval(_TAKE, 1, f"imageblur:rate:{self.server}", str(interval), str(tolerance))
        except redis.RedisError as error:
            # Rather slower than allowed than faster, or not at all.
            _log.warning("rate limit kept by this mailer alone", error=str(error))
            self.stopping.wait(4 / rate)
            return 0.0
        return float(cast("int", wait)) / 1_000_000
