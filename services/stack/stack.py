"""The whole stack of one data folder: started in order, ready when the gateway answers, stopped without a rest."""

import asyncio
import contextlib
import json
import os
import secrets
import time

from services.stack import leftovers, ports, valkey
from services.stack.data_folder import Places
from services.stack.environment import service_environment, web_url
from services.stack.errors import SettingError, StackError
from services.stack.leftovers import Ledger
from services.stack.lock import FolderLock
from services.stack.output import Output
from services.stack.plan import Plan, default_plan
from services.stack.process import Program
from services.stack.settings import StackSettings
from services.stack.supervisor import Supervisor, describe_end
from services.stack.warden import Warden

TOLD = ("gateway_address", "web_address", "mailbox_port")
"""Settings that commands on a running stack have from it, not from their own environment."""


class Stack:
    """Everything that serves one data folder. After `start`, whatever came of it, call `stop`."""

    def __init__(self, settings: StackSettings, plan: Plan | None = None, output: Output | None = None) -> None:
        self.settings = settings
        self.places = Places(settings.data_dir.absolute())
        self.plan = plan or default_plan(settings, self.places)
        self.output = output or Output(self.plan.names())
        self.startup_seconds = 0.0
        self._token = secrets.token_hex(16)
        self._lock = FolderLock(self.places.lock)
        self._ledger: Ledger | None = None
        self._warden: Warden | None = None
        self._supervisor: Supervisor | None = None
        self._began = 0.0

    async def start(self) -> None:
        """Start everything, in order. Raises: StackError."""
        self._began = time.monotonic()
        try:
            self.places.make()
            self._lock.take()
            self.places.ready.unlink(missing_ok=True)
            await self._end_leftovers()
            for endpoint in self.plan.endpoints:
                ports.check(endpoint)
            environment = service_environment(self.settings, self.places, self._token)
            self._ledger = Ledger(self.places.processes, self._token)
            self._warden = Warden(self.places.processes, self._token)
            self._supervisor = supervisor = Supervisor(environment, self._ledger, self.output)
            await asyncio.gather(self._start_broker(supervisor), self._prepare(supervisor))
            for service in self.plan.services:
                supervisor.start(service)
        except OSError as error:
            raise StackError(f"the stack cannot start: {error}") from error

    async def wait_ready(self) -> None:
        """Wait until the gateway answers. Raises: StackError when a service says that a setting is wrong."""
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
        """Wait for a reason to stop that lies in the stack itself."""
        assert self._supervisor, "start() comes first"
        return await self._supervisor.wait_broken()

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Stop everything in order; once `hurry` is set, by force. May be called again, and after a failed start."""
        if self._supervisor:
            self.places.ready.unlink(missing_ok=True)
            await self._supervisor.stop(hurry or asyncio.Event())
            await asyncio.to_thread(leftovers.kill_carriers, self._token)
            self._supervisor = None
        if self._ledger:
            self._ledger.close()
            self._ledger = None
        if self._warden:
            await asyncio.to_thread(self._warden.dismiss)
            self._warden = None
        if self._lock.release():
            with contextlib.suppress(OSError):
                self.places.clear_temporary()

    async def _end_leftovers(self) -> None:
        run = leftovers.read(self.places.processes)
        if run is None:
            return
        for found in await asyncio.to_thread(leftovers.end, run):
            self.output.tell(f"ended what a killed stack had left: {found}")

    async def _start_broker(self, supervisor: Supervisor) -> None:
        if self.plan.broker is None:
            return
        self.places.valkey_log.unlink(missing_ok=True)
        ended = asyncio.ensure_future(supervisor.start(self.plan.broker).wait())
        answer = asyncio.ensure_future(valkey.wait_until_answers(self.places.valkey_socket))
        try:
            await asyncio.wait({ended, answer}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                words = valkey.last_words(self.places)
                raise StackError(f"the embedded Valkey {describe_end(ended.result())}; its last words:\n{words}")
            await answer
        except TimeoutError:
            raise StackError(f"the embedded Valkey does not answer; see {self.places.valkey_log}") from None
        finally:
            ended.cancel()
            answer.cancel()

    async def _prepare(self, supervisor: Supervisor) -> None:
        program = self.plan.prepare
        if program is None:
            return
        code = await supervisor.run_once(program)
        if code:
            kind = SettingError if code == os.EX_CONFIG else StackError
            raise kind(f"{program.name} {describe_end(code)}: no service was started")

    async def _probe(self, supervisor: Supervisor) -> None:
        probe: Program = self.plan.probe
        while await supervisor.run_once(probe):
            self.output.tell("still waiting for the gateway to answer")
            await asyncio.sleep(1.0)

    def _write_ready(self) -> None:
        facts = {
            "pid": os.getpid(),
            "gateway_address": self.settings.gateway_address,
            "web": web_url(self.settings),
            "data": str(self.places.data),
            # Where a command finds what was told to this stack alone, by its environment.
            "told": {name: getattr(self.settings, name) for name in TOLD},
            "mailbox": None if self.settings.smtp_host else str(self.places.mailbox),
            "startup_seconds": round(self.startup_seconds, 2),
        }
        draft = self.places.ready.with_suffix(".draft")
        draft.write_text(json.dumps(facts), encoding="utf-8")
        draft.replace(self.places.ready)
