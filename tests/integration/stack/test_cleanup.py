import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.stack import leftovers
from services.stack.groups import lives
from services.stack.leftovers import RUN_VARIABLE, Ledger, Run
from tests.support.waiting import eventually

POLITE = "import threading; print(flush=True); threading.Event().wait()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {POLITE!r}])"


class Sleepers:
    """Programs to be found, ended whatever the test finds."""

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
        popen.stdout.readline()  # it runs, and has set its signals
        return psutil.Process(popen.pid)

    def close(self) -> None:
        for popen in self._popens:
            with contextlib.suppress(ProcessLookupError):  # its orphans would hold the pipe
                os.killpg(popen.pid, signal.SIGKILL)
            popen.communicate()


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    programs = Sleepers()
    yield programs
    programs.close()


def read(path: Path) -> Run:
    run = leftovers.read(path)
    assert run is not None
    return run


def test_a_disk_that_refuses_delays_what_is_written_down(sleepers: Sleepers, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l", "token")
    refusing = (tmp_path / "l").with_suffix(".draft")
    refusing.mkdir()
    first, second = sleepers.start(POLITE, "token"), sleepers.start(POLITE, "token")
    ledger.add("gateway", first.pid, 0)
    assert read(tmp_path / "l").records == ()
    refusing.rmdir()
    ledger.add("mailer", second.pid, 0)
    assert [record.name for record in read(tmp_path / "l").records] == ["gateway", "mailer"]


def test_what_was_started_and_not_ended_is_written_down(tmp_path: Path, sleepers: Sleepers) -> None:
    path = tmp_path / "processes.json"
    ledger = Ledger(path, "token")
    pids = [sleepers.start(POLITE, "token").pid for _ in range(2)]
    for pid in pids:
        ledger.add("gateway", pid, 0)
    ledger.remove(pids[0])
    assert [record.pid for record in read(path).records] == pids[1:]
    ledger.close()
    assert leftovers.read(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": "x"}', '{"token": "x", "records": [{"pid": 1}]}'])
def test_a_ledger_without_meaning_ends_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "processes.json").write_text(content)
    assert leftovers.read(tmp_path / "processes.json") is None


@pytest.mark.parametrize("program", [POLITE, STUBBORN])
def test_a_leftover_is_ended(tmp_path: Path, sleepers: Sleepers, program: str) -> None:
    process = sleepers.start(program, "token")
    Ledger(tmp_path / "l", "token").add("gateway", process.pid, 0)
    assert leftovers.end(read(tmp_path / "l"), grace=0.3) == [f"gateway (pid {process.pid})"]
    assert not lives(process)


def test_a_number_that_went_to_another_process_is_left_alone(tmp_path: Path, sleepers: Sleepers) -> None:
    stranger = sleepers.start(POLITE, "another run")
    Ledger(tmp_path / "l", "token").add("gateway", stranger.pid, 0)
    run = read(tmp_path / "l")
    older = replace(run, records=tuple(replace(r, create_time=r.create_time - 2.0) for r in run.records))
    assert leftovers.end(older) == []
    assert lives(stranger)


def test_orphans_of_a_killed_leader_are_found(tmp_path: Path, sleepers: Sleepers) -> None:
    parent = sleepers.start(PARENT, "token")
    (child,) = eventually(parent.children)
    Ledger(tmp_path / "l", "token").add("blur_worker", parent.pid, 0)
    parent.kill()
    eventually(lambda: not lives(parent))
    assert lives(child)
    assert leftovers.end(read(tmp_path / "l")) == [f"orphan (pid {child.pid})"]
    assert not lives(child)
