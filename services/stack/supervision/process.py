"""Run one program in a process group of its own, pass on its lines and wait for its end."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.stack.supervision import process_groups
from services.stack.supervision.launching import launch
from services.stack.terminal.output import LineSplitter


@dataclass(frozen=True)
class Program:
    """A command to run.

    Attributes:
        stop_stage: Programs of a lower stage have ended before those of a higher one get SIGTERM.
        grace: Seconds from SIGTERM to SIGKILL.
    """

    name: str
    arguments: tuple[str, ...]
    stop_stage: int = 0
    grace: float = 10.0


class RunningProcess:
    """A started program. The constructor does not await, so no cancellation can lose the process."""

    def __init__(self, program: Program, environment: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self.program = program
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._loop = asyncio.get_running_loop()
        self.started = self._loop.time()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        # Not asyncio's subprocess: it also waits for the end of the output, and an orphan may hold the pipe open.
        self._pipe, write_end = os.pipe()
        try:
            self._started = launch(program.arguments, environment, write_end)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(write_end)
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._read)
        threading.Thread(target=self._collect, name=f"wait-{program.name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return the process id, which is also the id of its group."""
        return self._started.pid

    @property
    def lived(self) -> float:
        """Return the seconds since the start."""
        return self._loop.time() - self.started

    async def wait(self) -> int:
        """Wait for the main process; return its exit code, or the negative number of the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def stop(self, force: asyncio.Event) -> bool:
        """Terminate the main process, then kill its group once it has ended, at the end of its grace or on `force`.

        Only the main process gets SIGTERM: Dramatiq's main passes it on, and a worker that gets a second one does
        not return its prefetched messages.

        Returns:
            False if the main process had to be killed.
        """
        if not self._ended.done():
            self._started.terminate()
        forced = asyncio.ensure_future(force.wait())
        either: set[asyncio.Future[Any]] = {self._ended, forced}
        try:
            await asyncio.wait(either, timeout=self.program.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forced.cancel()
        terminated = self._ended.done()
        await self.kill_group()
        return terminated

    async def kill_group(self) -> None:
        """Kill the group, pass on its last lines and close the pipe."""
        if process_groups.kill_group(self.pid):
            await asyncio.to_thread(process_groups.kill_group_and_wait, self.pid)
        await self.wait()
        self._close()

    def _collect(self) -> None:
        code = self._started.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended.set_result, code)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, 64 * 1024)
        except BlockingIOError:
            return
        for line in self._splitter.feed(data):
            self._on_line(line)
        if not data:
            self._close()

    def _close(self) -> None:
        if self._pipe < 0:
            return
        self._loop.remove_reader(self._pipe)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, 64 * 1024):
                for line in self._splitter.feed(data):
                    self._on_line(line)
        for line in self._splitter.end():
            self._on_line(line)
        os.close(self._pipe)
        self._pipe = -1
