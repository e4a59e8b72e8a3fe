"""One program, run in a process group of its own, with its lines told and its end awaited."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.stack import groups
from services.stack.output import LineSplitter


@dataclass(frozen=True)
class Program:
    """Something to run.

    stop_stage: programs of a lower stage are stopped, and have ended, before the next ones are asked to.
    grace: seconds from the polite request to the kill.
    """

    name: str
    arguments: tuple[str, ...]
    stop_stage: int = 0
    grace: float = 10.0


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module with this very Python, unbuffered."""
    return (sys.executable, "-u", "-m", module, *arguments)


class RunningProcess:
    """A program that has been started. Made without awaiting, so no cancellation can lose the process."""

    def __init__(self, program: Program, environment: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self.program = program
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._loop = asyncio.get_running_loop()
        self.started = self._loop.time()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        # A pipe of our own: asyncio's waits for the end of the output too, and that may be held by an orphan.
        self._pipe, write_end = os.pipe()
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - the programs are this project's own
                program.arguments,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=environment,
                start_new_session=True,
            )
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
        """Process id, and id of the group that it leads."""
        return self._popen.pid

    @property
    def lived(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self.started

    async def wait(self) -> int:
        """Wait for the main process; the negative of a signal's number when that ended it."""
        return await asyncio.shield(self._ended)

    async def stop(self, hurry: asyncio.Event) -> bool:
        """Ask the main process to end, wait, then end its whole group. False when it had to be killed.

        Only the main process is asked: Dramatiq's main passes the signal on, and a worker that gets a second one
        does not hand its prefetched messages back.
        """
        if not self._ended.done():
            self._popen.terminate()
        hurried = asyncio.ensure_future(hurry.wait())
        either: set[asyncio.Future[Any]] = {self._ended, hurried}
        try:
            await asyncio.wait(either, timeout=self.program.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
        by_itself = self._ended.done()
        await self.end_group()
        return by_itself

    async def end_group(self) -> None:
        """End everything in the group at once, tell its last lines and let go of it."""
        if groups.kill_group(self.pid):
            await asyncio.to_thread(groups.end_group, self.pid)
        await self.wait()
        self._close()

    def _collect(self) -> None:
        code = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
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
