"""What may happen to what the services rely on: each begins with the block and is over at its end."""

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from tests.faults import database_clock
from tests.faults.fleet import SMTP_SECONDS, Fleet
from tests.support.proxy import Proxy
from tests.support.valkey import Refusal
from tests.support.waiting import eventually

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def valkey_away(fleet: Fleet) -> Iterator[None]:
    """Killed, and started again with its data."""
    fleet.valkey.kill()
    try:
        yield
    finally:
        fleet.valkey.start()


@contextlib.contextmanager
def valkey_robbed(fleet: Fleet) -> Iterator[None]:
    """Killed, and started again without its data."""
    with valkey_away(fleet):
        shutil.rmtree(fleet.valkey_folder / "appendonlydir")
        yield


@contextlib.contextmanager
def valkey_stalled(fleet: Fleet) -> Iterator[None]:
    """Stopped in the middle of whatever it does, with its connections open."""
    os.kill(fleet.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(fleet.valkey.pid, signal.SIGCONT)


def valkey_refusing_writes(fleet: Fleet, how: Refusal) -> contextlib.AbstractContextManager[None]:
    """It answers reads and refuses writes, as a replica, after a failed save, or without room."""
    return fleet.valkey.refusing_writes(how)


@contextlib.contextmanager
def postgres_away(fleet: Fleet) -> Iterator[None]:
    """Stopped as an operator does, and started again."""
    assert fleet.postgres
    fleet.postgres.stop()
    try:
        yield
    finally:
        fleet.postgres.start()


@contextlib.contextmanager
def postgres_killed(fleet: Fleet) -> Iterator[None]:
    """Killed with all its children, and started again."""
    assert fleet.postgres
    fleet.postgres.kill()
    try:
        yield
    finally:
        fleet.postgres.start()


@contextlib.contextmanager
def postgres_read_only(fleet: Fleet) -> Iterator[None]:
    """It answers reads and refuses writes, as a server in recovery."""
    assert fleet.postgres
    with fleet.postgres.read_only():
        yield


@contextlib.contextmanager
def descriptors_exhausted(fleet: Fleet) -> Iterator[None]:
    """No gateway can open a file or accept a connection."""
    before = {}
    for record in fleet.records("gateway"):
        pid = record.pid
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            before[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[pid][1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def sqlite_locked(fleet: Fleet) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    path = fleet.stack.data_folder.database
    command = [sys.executable, "-c", _LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            holder.stdin.close()


@contextlib.contextmanager
def disk_full(fleet: Fleet) -> Iterator[None]:
    """The disk of the database, the blobs and the temporary files has not a byte left."""
    assert fleet.small_disk
    filler = fleet.stack.data_folder.root / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - the disk is full, which was wanted
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def disk_read_only(fleet: Fleet) -> Iterator[None]:
    """Nothing can be written to the blobs' folder."""
    folder = str(fleet.blobs)
    _mount("--bind", folder, folder)
    try:
        # Refused as long as somebody writes a file there.
        eventually(lambda: _mount("--options", "remount,bind,ro", folder), within=30)
        try:
            yield
        finally:
            # Whoever has opened the folder meanwhile goes on with this mount.
            _mount("--options", "remount,bind,rw", folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True, timeout=10)


def _mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return True


@contextlib.contextmanager
def line_cut(line: Proxy) -> Iterator[None]:
    """No connection stays, and none can be made."""
    line.cut()
    try:
        yield
    finally:
        line.heal()


@contextlib.contextmanager
def line_stalled(line: Proxy) -> Iterator[None]:
    """Connections stay, and nothing gets through."""
    line.stall()
    try:
        yield
    finally:
        line.heal()


@contextlib.contextmanager
def line_slow(line: Proxy) -> Iterator[None]:
    """A fifth of a second each way."""
    line.delay(0.2)
    try:
        yield
    finally:
        line.heal()


@contextlib.contextmanager
def mail_server_slow(fleet: Fleet) -> Iterator[None]:
    """It takes its time at every step, though no longer than it may."""
    step = 0.6 * SMTP_SECONDS
    fleet.sink.delay(EHLO=step, MAIL=step, RCPT=step, DOT=step)
    try:
        yield
    finally:
        fleet.sink.delay()


@contextlib.contextmanager
def dns_hanging(fleet: Fleet) -> Iterator[None]:
    """No name of a mail server is resolved."""
    fleet.stages.arm_all("mailer-lookup")
    try:
        yield
    finally:
        fleet.stages.disarm("mailer-lookup")


@contextlib.contextmanager
def database_clock_ahead(fleet: Fleet) -> Iterator[None]:
    """The database's clock jumps a minute ahead, beyond every lease, and back in the end."""
    database_clock.move(fleet.database, 60)
    try:
        yield
    finally:
        database_clock.move(fleet.database, 0)


@contextlib.contextmanager
def clocks_ahead(fleet: Fleet) -> Iterator[None]:
    """The schedulers' clocks are a week ahead."""
    fleet.stages.move_clock(timedelta(days=7).total_seconds())
    try:
        yield
    finally:
        fleet.stages.move_clock(0)


def last(seconds: float) -> None:
    """Let an outage last."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end, within=seconds + 5)
