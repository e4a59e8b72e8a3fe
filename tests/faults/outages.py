"""What may happen to what the services rely on: each begins with the block and is over at its end."""

import contextlib
import errno
import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from tests.faults import database_clock
from tests.faults.fleet import SMTP_SECONDS, Fleet
from tests.support.proxy import Proxy
from tests.support.valkey import Refusal
from tests.support.waiting import eventually

Block: TypeAlias = contextlib.AbstractContextManager[None]

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def _during(begin: Callable[[], object], end: Callable[[], object]) -> Iterator[None]:
    begin()
    try:
        yield
    finally:
        end()


def valkey_away(fleet: Fleet) -> Block:
    """Killed, and started again with its data."""
    return _during(fleet.valkey.kill, fleet.valkey.start)


@contextlib.contextmanager
def valkey_robbed(fleet: Fleet) -> Iterator[None]:
    """Killed, and started again without its data."""
    with valkey_away(fleet):
        shutil.rmtree(fleet.valkey_folder / "appendonlydir")
        yield


def valkey_stalled(fleet: Fleet) -> Block:
    """Stopped in the middle of whatever it does, with its connections open."""
    send = functools.partial(os.kill, fleet.valkey.pid)
    return _during(lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))


def valkey_refusing_writes(fleet: Fleet, how: Refusal) -> Block:
    """It answers reads and refuses writes, as a replica, after a failed save, or without room."""
    return fleet.valkey.refusing_writes(how)


def postgres_away(fleet: Fleet) -> Block:
    """Stopped as an operator does, and started again."""
    assert fleet.postgres
    return _during(fleet.postgres.stop, fleet.postgres.start)


def postgres_killed(fleet: Fleet) -> Block:
    """Killed with all its children, and started again."""
    assert fleet.postgres
    return _during(fleet.postgres.kill, fleet.postgres.start)


def postgres_read_only(fleet: Fleet) -> Block:
    """It answers reads and refuses writes, as a server in recovery."""
    assert fleet.postgres
    return fleet.postgres.read_only()


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


def line_cut(line: Proxy) -> Block:
    """No connection stays, and none can be made."""
    return _during(line.cut, line.heal)


def line_stalled(line: Proxy) -> Block:
    """Connections stay, and nothing gets through."""
    return _during(line.stall, line.heal)


def line_slow(line: Proxy) -> Block:
    """A fifth of a second each way."""
    return _during(lambda: line.delay(0.2), line.heal)


def mail_server_slow(fleet: Fleet) -> Block:
    """It takes its time at every step, though no longer than it may."""
    step = 0.6 * SMTP_SECONDS
    return _during(lambda: fleet.sink.delay(EHLO=step, MAIL=step, RCPT=step, DOT=step), fleet.sink.delay)


def dns_hanging(fleet: Fleet) -> Block:
    """No name of a mail server is resolved."""
    stages = fleet.stages
    return _during(lambda: stages.arm_all("mailer-lookup"), lambda: stages.disarm("mailer-lookup"))


def database_clock_ahead(fleet: Fleet) -> Block:
    """The database's clock jumps a minute ahead, beyond every lease, and back in the end."""
    move = functools.partial(database_clock.move, fleet.database)
    return _during(lambda: move(60), lambda: move(0))


def clocks_ahead(fleet: Fleet) -> Block:
    """The schedulers' clocks are a week ahead."""
    move, week = fleet.stages.move_clock, timedelta(days=7)
    return _during(lambda: move(week.total_seconds()), lambda: move(0))


def last(seconds: float) -> None:
    """Let an outage last."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end, within=seconds + 5)
