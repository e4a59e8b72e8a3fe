"""Keeps programs running, and ends them so that nothing is left."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

import psutil

from services.stack.backoff import Backoff
from services.stack.errors import SettingError, StackError
from services.stack.leftovers import Ledger
from services.stack.output import Output
from services.stack.process import Program, RunningProcess


def describe_end(code: int) -> str:
    """How a process ended, for a person."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Supervisor:
    """Starts programs, starts those again that end, and stops all of them in the order of their stages."""

    def __init__(self, environment: Mapping[str, str], ledger: Ledger, output: Output) -> None:
        self._environment = environment
        self._ledger = ledger
        self._output = output
        self._running: dict[str, RunningProcess] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._broken: asyncio.Future[StackError] = asyncio.get_running_loop().create_future()

    def start(self, program: Program) -> RunningProcess:
        """Start a program and keep it running. Raises: OSError when it cannot be started the first time."""
        process = self._launch(program)
        self._watchers.append(asyncio.create_task(self._watch(process), name=f"watch-{program.name}"))
        return process

    async def run_once(self, program: Program) -> int:
        """Run a program to its end; its exit code, or the negative of the signal that ended it."""
        process = self._launch(program)
        code = await process.wait()
        await self._finish(process)
        return code

    async def wait_broken(self) -> StackError:
        """Wait for what starting again does not mend."""
        return await asyncio.shield(self._broken)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop everything, stage by stage; `hurry` turns what is left of the patience into a kill."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for stage in sorted({process.program.stop_stage for process in self._running.values()}):
            await asyncio.gather(
                *(self._stop(p, hurry) for p in list(self._running.values()) if p.program.stop_stage == stage)
            )

    def _launch(self, program: Program) -> RunningProcess:
        assert not self._stopping, "a program would outlive the stop"
        name = program.name
        process = RunningProcess(program, self._environment, lambda line: self._output.line(name, line))
        self._running[name] = process
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already, and has been collected
            self._ledger.add(name, process.pid, program.stop_stage)
        return process

    async def _watch(self, process: RunningProcess) -> None:
        program = process.program
        backoff = Backoff()
        while True:
            code = await process.wait()
            lived = process.lived
            await self._finish(process)
            if code == os.EX_CONFIG:
                self._break(SettingError(f"{program.name} cannot run with these settings: everything stops"))
                return
            delay = backoff.after(lived)
            self._output.tell(f"{program.name} {describe_end(code)}; it starts again in {delay:g} s")
            process = await self._restart(program, delay, backoff)

    async def _restart(self, program: Program, delay: float, backoff: Backoff) -> RunningProcess:
        while True:
            await asyncio.sleep(delay)
            try:
                return self._launch(program)
            except OSError as error:  # out of processes or memory, which may pass
                delay = backoff.after(0.0)
                self._output.tell(f"{program.name} does not start ({error.strerror}); next try in {delay:g} s")

    async def _stop(self, process: RunningProcess, hurry: asyncio.Event) -> None:
        if not await process.stop(hurry):
            self._output.tell(f"{process.program.name} did not end by itself and was killed")
        await self._finish(process)

    async def _finish(self, process: RunningProcess) -> None:
        await process.end_group()
        self._running.pop(process.program.name, None)
        self._ledger.remove(process.pid)

    def _break(self, error: StackError) -> None:
        if not self._broken.done():
            self._broken.set_result(error)
