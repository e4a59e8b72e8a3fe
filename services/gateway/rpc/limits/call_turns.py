"""Starts calls: all that have arrived are accepted first, then callers take turns.

gRPC hands over the calls of all connections in one queue, in which a call is behind everything that arrived before it,
of any caller. It is short as long as calls are accepted faster than they are served; so they wait here instead,
each caller in a queue of its own.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter, OrderedDict
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

from services.common.domain.errors import ResourceExhausted
from services.gateway import metrics
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
ACCEPT_SECONDS = 0.032
"""Waiting calls start after so long, even if others still arrive."""
REFUSE_SECONDS = 0.1
"""How often is looked for calls that have waited too long."""
MAX_REFUSED = 4
"""Calls that are refused at a time: other calls go on between them."""


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
        self._number_waiting = self._arrived = self._arrived_before = 0
        self._ticking = self._is_awaited = False
        self._started_at = self._refused_at = 0.0

    async def take(self, *, probe: bool = False) -> "Turn":
        """Return a turn for a call of the current caller, as soon as it is there; for a probe one more than there are.

        Raises:
            ResourceExhausted: It was not in time, or too many calls wait.
        """
        self._arrived += 1
        caller = rate_limit_key()
        few = caller not in self._waiting and self.started[caller] < min(AT_ONCE, self._caller_limit)
        if few and (probe or (self.active < self._limit and not self._is_awaited)):
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

    def _tick_later(self) -> None:
        if not self._ticking:
            if self._number_waiting == 1:
                self._started_at = time.monotonic()
            self._ticking, self._arrived_before = True, self._arrived
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        now = time.monotonic()
        if self._arrived == self._arrived_before or now - self._started_at >= ACCEPT_SECONDS:
            self._started_at = now
            # No more at a time: new calls are to be accepted meanwhile.
            for _ in range(self._limit):
                if not self._start_next():
                    break
            self._is_awaited = any(self.started[caller] < self._caller_limit for caller in self._waiting)
            # Now, too: a refused call is soon followed by another one of its client.
            if now - self._refused_at >= REFUSE_SECONDS and self._refuse_late(now):
                self._refused_at = now
        metrics.calls_waiting(self._number_waiting)
        if self._waiting:
            self._tick_later()
        else:
            self._is_awaited = False

    def _start_next(self) -> bool:
        """Start one call, and put its caller behind the others; return whether one could start."""
        if self.active >= self._limit:
            return False
        for caller, queue in self._waiting.items():
            if self.started[caller] < self._caller_limit:
                granted = next(iter(queue))
                self._remove(caller, granted)
                if queue:
                    self._waiting[caller] = self._waiting.pop(caller)
                if not granted.done():  # it may have been cancelled
                    granted.set_result(Turn(self, caller))
                return True
        return False

    def _refuse_late(self, now: float) -> bool:
        """Refuse some of the calls that have waited too long; return whether these were all."""
        late = (
            (caller, granted)
            for caller, queue in self._waiting.items()
            for granted, until in itertools.takewhile(lambda each: each[1] <= now, queue.items())
        )
        refused = list(itertools.islice(late, MAX_REFUSED))
        for caller, granted in refused:
            self._remove(caller, granted)
            if not granted.done():
                granted.set_exception(_busy("the server is serving as many calls as it can"))
        return len(refused) < MAX_REFUSED

    def _remove(self, caller: str, granted: "asyncio.Future[Turn]") -> None:
        del self._waiting[caller][granted]
        self._number_waiting -= 1
        if not self._waiting[caller]:
            del self._waiting[caller]


class Turn:
    """A turn. It is its caller's until its end; while its call waits for its client, others can have it."""

    def __init__(self, turns: CallTurns, caller: str) -> None:
        self._turns, self._caller = turns, caller
        self._paused, self._ended, self._jobs = True, False, 0
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

    def keep_for(self, job: "Future[Any]") -> None:
        """Do not end before a thread has done what it does for the call, although nobody waits for it any more."""
        loop = asyncio.get_running_loop()

        def done(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the gateway has stopped
                loop.call_soon_threadsafe(self._done)

        self._jobs += 1
        job.add_done_callback(done)

    def _done(self) -> None:
        self._jobs -= 1
        if self._ended:
            self._give_back()

    def end(self) -> None:
        """Give the turn to any caller."""
        if not self._ended:
            self._ended = True
            self._give_back()

    def _give_back(self) -> None:
        if not self._jobs:
            if not self._paused:
                self._paused = True
                self._turns.active -= 1
            self._turns.started[self._caller] -= 1
            if not self._turns.started[self._caller]:
                del self._turns.started[self._caller]


CURRENT_TURN: ContextVar[Turn] = ContextVar("current_turn")
"""The turn of the call that the current task serves."""


def _busy(message: str) -> ResourceExhausted:
    metrics.call_refused()
    return ResourceExhausted("TOO_MANY_CALLS", "calls", message, retry_seconds=RETRY_SECONDS)
