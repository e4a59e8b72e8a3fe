import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from services.stack.supervision.cleanup import end_run
from services.stack.supervision.process_groups import is_alive
from services.stack.supervision.process_registry import RUN_VARIABLE, ProcessRegistry, RunRecord, read_registry
from tests.support.waiting import eventually

OBEDIENT = "import threading; print(flush=True); threading.Event().wait()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"
TOKEN = str(uuid4())
"""Of this process alone: processes with the token of a run are killed, whoever started them."""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {OBEDIENT!r}])"


class Sleepers:
    """Starts programs and kills them after the test."""

    def __init__(self) -> None:
        self._popens: list[subprocess.Popen[bytes]] = []

    def start(self, program: str, token: str) -> psutil.Process:
        popen = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            env=os.environ | {RUN_VARIABLE: token},
            start_new_session=True,
        )
        self._popens.append(popen)
        assert popen.stdout is not None
        popen.stdout.readline()  # it runs and has set its signal handlers
        return psutil.Process(popen.pid)

    def close(self) -> None:
        for popen in self._popens:
            with contextlib.suppress(ProcessLookupError):  # its orphans would hold the pipe open
                os.killpg(popen.pid, signal.SIGKILL)
            popen.communicate()


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    programs = Sleepers()
    yield programs
    programs.close()


def read(path: Path) -> RunRecord:
    run = read_registry(path)
    assert run is not None
    return run


def test_a_failed_write_is_made_up_by_the_next_one(sleepers: Sleepers, tmp_path: Path) -> None:
    registry = ProcessRegistry(tmp_path / "l", TOKEN)
    blocker = (tmp_path / "l").with_suffix(".draft")
    blocker.mkdir()
    first, second = sleepers.start(OBEDIENT, TOKEN), sleepers.start(OBEDIENT, TOKEN)
    registry.add("gateway", first.pid, 0)
    assert read(tmp_path / "l").processes == ()
    blocker.rmdir()
    registry.add("mailer", second.pid, 0)
    assert [record.name for record in read(tmp_path / "l").processes] == ["gateway", "mailer"]


def test_the_ledger_has_the_processes_that_were_started_and_not_ended(tmp_path: Path, sleepers: Sleepers) -> None:
    path = tmp_path / "processes.json"
    registry = ProcessRegistry(path, TOKEN)
    pids = [sleepers.start(OBEDIENT, TOKEN).pid for _ in range(2)]
    for pid in pids:
        registry.add("gateway", pid, 0)
    registry.remove(pids[0])
    assert [record.pid for record in read(path).processes] == pids[1:]
    registry.close()
    assert read_registry(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": "x"}', '{"token": "x", "processes": [{"pid": 1}]}'])
def test_a_damaged_ledger_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "processes.json").write_text(content)
    assert read_registry(tmp_path / "processes.json") is None


@pytest.mark.parametrize("program", [OBEDIENT, STUBBORN])
def test_a_process_of_the_last_run_is_ended(tmp_path: Path, sleepers: Sleepers, program: str) -> None:
    process = sleepers.start(program, TOKEN)
    ProcessRegistry(tmp_path / "l", TOKEN).add("gateway", process.pid, 0)
    assert end_run(read(tmp_path / "l"), grace=0.3) == [f"gateway (pid {process.pid})"]
    assert not is_alive(process)


def test_a_pid_that_was_reused_is_not_touched(tmp_path: Path, sleepers: Sleepers) -> None:
    stranger = sleepers.start(OBEDIENT, str(uuid4()))
    ProcessRegistry(tmp_path / "l", TOKEN).add("gateway", stranger.pid, 0)
    run = read(tmp_path / "l")
    older = replace(run, processes=tuple(replace(r, create_time=r.create_time - 2.0) for r in run.processes))
    assert end_run(older) == []
    assert is_alive(stranger)


def test_orphans_of_a_killed_service_are_ended(tmp_path: Path, sleepers: Sleepers) -> None:
    parent = sleepers.start(PARENT, TOKEN)
    (child,) = eventually(parent.children)
    ProcessRegistry(tmp_path / "l", TOKEN).add("blur_worker", parent.pid, 0)
    parent.kill()
    eventually(lambda: not is_alive(parent))
    assert is_alive(child)
    assert end_run(read(tmp_path / "l")) == [f"orphan (pid {child.pid})"]
    assert not is_alive(child)
