"""The stack of one data folder: started in order, ready when the gateway answers, stopped completely."""

import asyncio
import contextlib
import json
import os
import secrets
import time

from services.common.db.revision import is_current
from services.common.infra.process.fork_server import keep_sockets_in, start_no_tracker
from services.stack import ports
from services.stack.data_folder import DataFolder
from services.stack.embedded import valkey
from services.stack.environment import service_environment, web_url
from services.stack.errors import SettingError, StackError
from services.stack.folder_lock import FolderLock
from services.stack.programs import StackPrograms, default_programs
from services.stack.settings import StackSettings
from services.stack.supervision.cleanup import end_run, kill_by_token
from services.stack.supervision.launching import forks, start_fork_server
from services.stack.supervision.process_registry import ProcessRegistry, read_registry
from services.stack.supervision.supervisor import Supervisor, describe_end
from services.stack.terminal.output import Output

LATER_SECONDS = 1.0
"""How long the services wait that nobody needs at once. By then the others have started, and a first order is done."""


class Stack:
    """All programs that serve one data folder. After `start`, even a failed one, call `stop`."""

    def __init__(self, settings: StackSettings, programs: StackPrograms | None = None) -> None:
        self.settings = settings
        self.data_folder = DataFolder(settings.data_dir.absolute())
        self.programs = programs or default_programs(settings, self.data_folder)
        self.output = Output(self.programs.names())
        self.startup_seconds = 0.0
        self._token = secrets.token_hex(16)
        self._lock = FolderLock(self.data_folder.lock)
        self._registry: ProcessRegistry | None = None
        self._supervisor: Supervisor | None = None
        self._began = 0.0

    async def start(self) -> None:
        """Start everything, in order. Raises: StackError."""
        self._began = time.monotonic()
        try:
            self.data_folder.create()
            self._lock.acquire()
            self.data_folder.remove_sockets()
            keep_sockets_in(self.data_folder.sockets)
            start_no_tracker()
            if any(forks(program.arguments) for program in self.programs.services):
                start_fork_server()
            self.data_folder.ready.unlink(missing_ok=True)
            await self._end_previous_run()
            for endpoint in self.programs.endpoints:
                ports.check(endpoint)
            environment = service_environment(self.settings, self.data_folder, self._token)
            self._registry = ProcessRegistry(self.data_folder.processes, self._token)
            self._supervisor = supervisor = Supervisor(environment, self._registry, self.output)
            if self.programs.engine:
                supervisor.start(self.programs.engine)
            await asyncio.gather(self._start_broker(supervisor), self._prepare(supervisor))
            for service in self.programs.services:
                supervisor.start(service)
            for service in self.programs.later:
                supervisor.start_later(service, LATER_SECONDS)
        except OSError as error:
            raise StackError(f"the stack cannot start: {error}") from error

    async def wait_ready(self) -> None:
        """Wait until the gateway answers. Raises: StackError if a service reports a wrong setting."""
        assert self._supervisor, "start() comes first"
        broken = asyncio.ensure_future(self._supervisor.wait_broken())
        probe = asyncio.ensure_future(self._probe(self._supervisor))
        try:
            await asyncio.wait({broken, probe}, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                raise broken.result()
            await probe
        finally:
            broken.cancel()
            probe.cancel()
            await asyncio.gather(broken, probe, return_exceptions=True)
        self.startup_seconds = time.monotonic() - self._began
        self._write_ready()

    async def wait_broken(self) -> StackError:
        """Wait for an error that ends the stack, and return it."""
        assert self._supervisor, "start() comes first"
        return await self._supervisor.wait_broken()

    async def stop(self, force: asyncio.Event) -> None:
        """Stop everything in order; once `force` is set, kill. Safe to call again and after a failed start."""
        if self._supervisor:
            self.data_folder.ready.unlink(missing_ok=True)
            await self._supervisor.stop(force)
            await asyncio.to_thread(kill_by_token, self._token)
            self._supervisor = None
        if self._registry:
            self._registry.close()
            self._registry = None
        if self._lock.release():
            with contextlib.suppress(OSError):
                self.data_folder.remove_temporary()

    async def _end_previous_run(self) -> None:
        if run := read_registry(self.data_folder.processes):
            for ended in await asyncio.to_thread(end_run, run):
                self.output.message(f"ended a process of a stack that was killed: {ended}")

    async def _start_broker(self, supervisor: Supervisor) -> None:
        if self.programs.broker is None:
            return
        self.data_folder.valkey_log.unlink(missing_ok=True)
        ended = asyncio.ensure_future(supervisor.start(self.programs.broker).wait())
        answer = asyncio.ensure_future(valkey.wait_until_answers(self.data_folder.valkey_socket))
        try:
            await asyncio.wait({ended, answer}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                self._move_damaged_data(ended.result())
            await answer  # the supervisor has restarted it
        except TimeoutError:
            raise StackError(f"the embedded Valkey does not answer; see {self.data_folder.valkey_log}") from None
        finally:
            ended.cancel()
            answer.cancel()

    def _move_damaged_data(self, code: int) -> None:
        aside = valkey.move_damaged_data(self.data_folder)
        if aside is None:
            tail = valkey.log_tail(self.data_folder)
            raise StackError(f"the embedded Valkey {describe_end(code)}; the end of its log:\n{tail}")
        self.output.message(
            f"the embedded Valkey could not read its data, damaged by a power cut: moved to {aside}; it starts empty, "
            "and the database refills it"
        )

    async def _prepare(self, supervisor: Supervisor) -> None:
        program = self.programs.prepare
        # A process of its own takes longer than to see that it would do nothing.
        if program is None or (self.settings.database_url is None and is_current(self.data_folder.database)):
            return
        code = await supervisor.run_once(program)
        if code:
            kind = SettingError if code == os.EX_CONFIG else StackError
            raise kind(f"{program.name} {describe_end(code)}: no service was started")

    async def _probe(self, supervisor: Supervisor) -> None:
        while await supervisor.run_once(self.programs.probe):
            self.output.message("still waiting for the services to be ready")
            await asyncio.sleep(1.0)

    def _write_ready(self) -> None:
        ready = {
            "pid": os.getpid(),
            "gateway_address": self.settings.gateway_address,
            "web": web_url(self.settings),
            "startup_seconds": round(self.startup_seconds, 2),
        }
        draft = self.data_folder.ready.with_suffix(".draft")
        draft.write_text(json.dumps(ready), encoding="utf-8")
        draft.replace(self.data_folder.ready)
