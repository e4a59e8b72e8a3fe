"""Starts calls: all that have arrived are accepted first, then callers take turns.

gRPC hands over the calls of all connections in one queue, in which a call is behind everything that arrived before it,
whoever sent that. It is short as long as calls are accepted faster than they are served; so they wait here instead,
each caller in a queue of its own.
"""

import asyncio
import time
from collections import Counter, OrderedDict

from services.common.domain.errors import Busy
from services.gateway.rpc.callers import rate_limit_key

AT_ONCE = 2
"""Calls of a caller that start when they arrive, even if others still arrive."""
MAX_WAITING = 6_000
MAX_WAITING_OF_CALLER = 4_500
WAIT_SECONDS = 3.0
"""How long a call waits for its turn; after that its client had better retry."""
RETRY_SECONDS = 2.0
TICK_SECONDS = 0.001
"""If no call arrives in this time, all that have arrived are accepted."""
MAX_TICKS = 32
"""Waiting calls start after so many ticks, even if others still arrive."""


class CallTurns:
    """The turns of all calls; for use on the event loop only.

    Args:
        limit: Turns at a time; each caller leaves a quarter of them to others.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._caller_limit = limit, limit - limit // 4
        self.active = 0
        self.started: Counter[str] = Counter()
        """Turns by caller, paused ones too: so those that are resumed are never more than a caller may have."""
        self._waiting: dict[str, OrderedDict[asyncio.Future[Turn], float]] = {}
        """Calls and until when they wait, by caller; the first one is next."""
        self._number_waiting = self._arrived = self._arrived_before = self._ticks = 0
        self._ticking = False

    async def take(self) -> "Turn":
        """Return a turn for a call of the current caller, as soon as it is there.

        Raises:
            Busy: It was not in time, or too many calls wait.
        """
        self._arrived += 1
        caller = rate_limit_key()
        if caller not in self._waiting and self.started[caller] < AT_ONCE and self._has_room(caller):
            return Turn(self, caller)
        if self._number_waiting >= MAX_WAITING or len(self._waiting.get(caller, ())) >= MAX_WAITING_OF_CALLER:
            raise _busy("as many calls are waiting as the server can hold")
        granted: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(caller, OrderedDict())
        queue[granted] = time.monotonic() + WAIT_SECONDS
        self._number_waiting += 1
        self._tick_later()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted in queue:
                self._remove(caller, granted)
            elif not granted.cancelled() and not granted.exception():  # it was granted at the same moment
                granted.result().end()
            raise

    def _has_room(self, caller: str) -> bool:
        return self.started[caller] < self._caller_limit and self.active < self._limit

    def _tick_later(self) -> None:
        if not self._ticking:
            self._ticking, self._arrived_before = True, self._arrived
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self._ticks += 1
        if self._arrived == self._arrived_before or self._ticks >= MAX_TICKS:
            self._ticks = 0
            # No more at a time, refusals included: they take time, too.
            for _ in range(self._limit):
                if not self._start_next():
                    break
        if self._waiting:
            self._tick_later()

    def _start_next(self) -> bool:
        """Start or refuse one call, and put its caller behind the others; return whether there was one."""
        now = time.monotonic()
        for caller, queue in self._waiting.items():
            granted, until = next(iter(queue.items()))
            if now < until and not self._has_room(caller):
                continue
            self._remove(caller, granted)
            if queue:
                self._waiting[caller] = self._waiting.pop(caller)
            if granted.done():  # cancelled
                return True
            if now < until:
                granted.set_result(Turn(self, caller))
            else:
                granted.set_exception(_busy("the server is serving as many calls as it can"))
            return True
        return False

    def _remove(self, caller: str, granted: "asyncio.Future[Turn]") -> None:
        del self._waiting[caller][granted]
        self._number_waiting -= 1
        if not self._waiting[caller]:
            del self._waiting[caller]


class Turn:
    """A turn. It is its caller's until its end; while its call waits for its client, others can have it."""

    def __init__(self, turns: CallTurns, caller: str) -> None:
        self._turns, self._caller = turns, caller
        self._paused, self._ended = True, False
        turns.started[caller] += 1
        self.resume()

    def pause(self) -> None:
        """Give the turn to other callers until `resume`."""
        if not self._paused:
            self._paused = True
            self._turns.active -= 1

    def resume(self) -> None:
        """Go on, without waiting again."""
        if self._paused and not self._ended:
            self._paused = False
            self._turns.active += 1

    def end(self) -> None:
        """Give the turn to any caller."""
        self.pause()
        if not self._ended:
            self._ended = True
            self._turns.started[self._caller] -= 1
            if not self._turns.started[self._caller]:
                del self._turns.started[self._caller]


def _busy(message: str) -> Busy:
    return Busy("TOO_MANY_CALLS", "calls", message, retry_seconds=RETRY_SECONDS)
