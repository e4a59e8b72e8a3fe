"""The stack of one machine, as `make run` starts it: its disk can lose its power, and its clock can be set."""

import contextlib
import email
import email.policy
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.stack.background import BackgroundStack, background_stack
from services.stack.supervision.cleanup import kill_by_token
from services.stack.supervision.launching import python_module
from services.stack.supervision.process_registry import RunRecord, read_registry
from tests.faults.fleet import kill_service
from tests.support import guard
from tests.support.disk import PowerDisk
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer


@dataclass
class Machine:
    """A folder, and what runs on it: the stack with its Valkey and mailbox, and PostgreSQL if that is the database."""

    folder: Path
    disk: PowerDisk | None = None
    """The folder's disk."""
    postgres: PostgresServer | None = None
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = python_module("services.stack")
    stack: BackgroundStack | None = None
    starts: int = 0
    _ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.gateway = f"127.0.0.1:{free_port()}"
        self.environment |= {
            "IMAGEBLUR_GATEWAY_ADDRESS": self.gateway,
            "IMAGEBLUR_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
            "IMAGEBLUR_MAILBOX_PORT": str(free_port()),
            "IMAGEBLUR_SWEEP_SECONDS": "1",
            "IMAGEBLUR_CONFIRM_SUBSCRIPTIONS": "false",
        }
        if self.postgres:
            self.postgres.start()
            self.environment["IMAGEBLUR_DATABASE_URL"] = self.postgres.create_database()

    @property
    def data(self) -> Path:
        """The stack's data folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start the stack, and return when it is ready. Its log is on another disk."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        log = self.data / "stack.log"
        if not log.is_symlink():
            log.unlink(missing_ok=True)
            self.starts += 1
            log.symlink_to(self.folder.with_name(f"stack{self.starts}.log"))
        self.stack = self._ends.enter_context(
            background_stack(self.data, self.environment, self.command, ready_within=120)
        )
        guard.protect(self.stack.process.pid)

    def cut_power(self) -> float:
        """Kill everything, cut the disk's power, and start everything again on what the disk has kept.

        Returns:
            When the disk had no power any more, in seconds since 1970.
        """
        assert self.stack
        assert self.disk
        run = read_registry(self.stack.data_folder.processes)
        assert run
        unsynced = self.folder / "unsynced"
        unsynced.write_text("soon to be forgotten")
        self._kill(run)
        self.disk.cut()
        cut = time.time()
        self.disk.restore()
        assert not unsynced.exists() or not unsynced.read_bytes(), "the disk has kept what nobody had synced"
        unsynced.unlink(missing_ok=True)
        if self.postgres:
            self.postgres.start()
        else:
            with contextlib.closing(sqlite3.connect(self.data / "imageblur.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        self.start()
        return cut

    def _kill(self, run: RunRecord) -> None:
        assert self.stack
        self.stack.process.kill()
        self.stack.process.wait()
        guard.release(self.stack.process.pid)
        for record in run.processes:  # Valkey's title hides its environment
            with contextlib.suppress(ProcessLookupError):
                kill_service(record.pid)
        kill_by_token(run.token)
        if self.postgres:
            self.postgres.kill()

    def emails(self) -> dict[str, list[tuple[str, float]]]:
        """Message-ID and time, seconds since 1970, of each e-mail in the mailbox, by recipient."""
        found = defaultdict(list)
        for path in self.data.glob("mailbox/new/*"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            found[str(message["Delivered-To"])].append((str(message["Message-ID"]), path.stat().st_mtime))
        return found

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the stack until the block ends; it must stop as it should."""
        self.start()
        with self._ends:
            yield
            assert self.stack
            assert self.stack.stop() == 0, self.stack.log.read_text()[-4000:]
            guard.release(self.stack.process.pid)
