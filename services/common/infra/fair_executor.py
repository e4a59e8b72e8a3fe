"""One thread for work that takes processor time: callers take turns, so that none waits for all the work of another."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

SWITCH_SECONDS = 0.0005
"""How long the event loop waits for Python's lock while a function runs, each time it has something to do."""
_USUAL_SWITCH_SECONDS = sys.getswitchinterval()

P = ParamSpec("P")
R = TypeVar("R")


class FairExecutor:
    """Runs functions one at a time, those of each caller in order; for use on one event loop.

    One thread is enough: Python runs one at a time, and more would take more time from the event loop.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By caller; the first one is next."""

    async def run(self, caller: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the result of a function, as soon as it is the caller's turn."""
        await self._wait_for_turn(caller)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, _switching_often, partial(function, *args, **kwargs)
            )
        finally:
            self._pass_on()

    def close(self) -> None:
        """End the thread after the function that runs."""
        self._executor.shutdown(cancel_futures=True)

    async def _wait_for_turn(self, caller: str) -> None:
        if not self._busy:
            self._busy = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was granted at the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            caller = next(iter(self._waiting))
            turns = self._waiting.pop(caller)
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False


def _switching_often(function: Callable[[], R]) -> R:
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return function()
    finally:
        sys.setswitchinterval(_USUAL_SWITCH_SECONDS)
