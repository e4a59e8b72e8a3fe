"""Spreads e-mails over time, for all mailers together: so many a second for the mail server that is set."""

import threading
from dataclasses import dataclass
from typing import cast

import redis

from services.common.infra import log
from services.mailer.smtp.sender import Unreachable

_LOOK_SECONDS = 1.0
"""Longest sleep at a time: others may have stopped taking tokens, and the mailer may be told to stop."""
# When the bucket is full again (GCRA), by the clock of the broker, which all mailers share. An e-mail may
# go if that moment is no further off than its `tolerance`.
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
BURST_SECONDS = 2
"""E-mails that somebody waits for may be so far ahead of the rate; those of a mailing never, and so let them pass."""

_log = log.get(__name__)


@dataclass(frozen=True)
class TokenBucket:
    """A bucket for one mail server. `rate`: e-mails a second; None: no limit."""

    client: redis.Redis
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
        interval = 1_000_000 / rate
        tolerance = 0.0 if bulk else BURST_SECONDS * 1_000_000
        try:
            wait = self.client.eval(_TAKE, 1, f"imageblur:rate:{self.server}", str(interval), str(tolerance))
        except redis.RedisError as error:
            # Slower than it may be, rather than faster or not at all.
            _log.warning("the rate is kept by this mailer alone", error=str(error))
            self.stopping.wait(4 / rate)
            return 0.0
        return float(cast("int", wait)) / 1_000_000
