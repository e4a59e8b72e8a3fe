"""Keep programs running and stop them completely."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

import psutil

from services.stack.errors import SettingError, StackError
from services.stack.supervision.backoff import Backoff
from services.stack.supervision.process import Program, RunningProcess
from services.stack.supervision.process_registry import ProcessRegistry
from services.stack.terminal.output import Output


def describe_end(code: int) -> str:
    """Describe for a person how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Supervisor:
    """Starts programs, restarts those that end, and stops all of them in the order of their stages."""

    def __init__(self, environment: Mapping[str, str], registry: ProcessRegistry, output: Output) -> None:
        self._environment = environment
        self._registry = registry
        self._output = output
        self._running: dict[str, RunningProcess] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._broken: asyncio.Future[StackError] = asyncio.get_running_loop().create_future()

    def start(self, program: Program) -> RunningProcess:
        """Start a program and keep it running. Raises: OSError if the first start fails."""
        process = self._launch(program)
        self._watchers.append(asyncio.create_task(self._watch(process), name=f"watch-{program.name}"))
        return process

    def start_later(self, program: Program, delay: float) -> None:
        """Start a program after so many seconds, as soon as that succeeds, and keep it running."""
        self._watchers.append(asyncio.create_task(self._watch_later(program, delay), name=f"watch-{program.name}"))

    async def run_once(self, program: Program) -> int:
        """Run a program to its end; return its exit code, or the negative number of the signal that ended it."""
        process = self._launch(program)
        code = await process.wait()
        await self._finish(process)
        return code

    async def wait_broken(self) -> StackError:
        """Wait for an error that a restart does not repair, and return it."""
        return await asyncio.shield(self._broken)

    async def stop(self, force: asyncio.Event) -> None:
        """Stop everything stage by stage; once `force` is set, kill instead of waiting."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for stage in sorted({process.program.stop_stage for process in self._running.values()}):
            await asyncio.gather(
                *(self._stop(p, force) for p in list(self._running.values()) if p.program.stop_stage == stage)
            )

    def _launch(self, program: Program) -> RunningProcess:
        assert not self._stopping, "the program would survive the stop"
        name = program.name
        process = RunningProcess(program, self._environment, lambda line: self._output.line(name, line))
        self._running[name] = process
        with contextlib.suppress(psutil.NoSuchProcess):  # it has already ended and been reaped
            self._registry.add(name, process.pid, program.stop_stage)
        return process

    async def _watch_later(self, program: Program, delay: float) -> None:
        await self._watch(await self._restart(program, delay, Backoff()))

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
            delay = backoff.delay_after(lived)
            self._output.message(f"{program.name} {describe_end(code)}; restart in {delay:g} s")
            process = await self._restart(program, delay, backoff)

    async def _restart(self, program: Program, delay: float, backoff: Backoff) -> RunningProcess:
        while True:
            await asyncio.sleep(delay)
            try:
                return self._launch(program)
            except OSError as error:  # out of processes or memory, which may be temporary
                delay = backoff.delay_after(0.0)
                self._output.message(f"{program.name} does not start ({error.strerror}); next attempt in {delay:g} s")

    async def _stop(self, process: RunningProcess, force: asyncio.Event) -> None:
        if not await process.stop(force):
            self._output.message(f"{process.program.name} did not stop in time and was killed")
        await self._finish(process)

    async def _finish(self, process: RunningProcess) -> None:
        await process.kill_group()
        self._running.pop(process.program.name, None)
        self._registry.remove(process.pid)

    def _break(self, error: StackError) -> None:
        if not self._broken.done():
            self._broken.set_result(error)
