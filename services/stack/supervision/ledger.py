"""Processes of a run whose stack was killed: written down while it runs, found and ended by the next one."""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from services.stack import groups

RUN_VARIABLE = "IMAGEBLUR_STACK_RUN"
"""Carried by every process of a run, so that its leftovers can be told from everything else."""

GRACE = 10.0
# Boot time, to which Linux counts, is rounded to a second and moves with the clock.
_SAME_TIME = 1.5


@dataclass(frozen=True)
class Record:
    """One process that a stack started; it leads a group of its own id. create_time: seconds since 1970."""

    name: str
    pid: int
    create_time: float
    stop_stage: int


@dataclass(frozen=True)
class Run:
    """What one run of a stack has started."""

    token: str
    records: tuple[Record, ...] = ()


class Ledger:
    """The file that outlives a killed stack; replaced whole with every change."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._run = Run(token)
        self._write()

    def add(self, name: str, pid: int, stop_stage: int) -> None:
        """Write down a process that was just started and not yet waited for."""
        record = Record(name, pid, psutil.Process(pid).create_time(), stop_stage)
        self._run = Run(self._run.token, (*self._run.records, record))
        self._keep()

    def remove(self, pid: int) -> None:
        """Strike out a process that has ended with its group."""
        self._run = Run(self._run.token, tuple(record for record in self._run.records if record.pid != pid))
        self._keep()

    def close(self) -> None:
        """Nothing is left."""
        self._path.unlink(missing_ok=True)

    def _keep(self) -> None:
        # On a full disk services are still to be started again; the next change writes down all of it.
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self._run), indent=1), encoding="utf-8")
        draft.replace(self._path)


def read(path: Path) -> Run | None:
    """What the last run wrote down; None when it ended properly, or the file means nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Run(str(content["token"]), tuple(Record(**record) for record in content["records"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def leader(record: Record) -> psutil.Process | None:
    """The recorded process, when it still lives and is no other one that got its number since."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.create_time) < _SAME_TIME and groups.lives(process):
            return process
    return None


def carriers(token: str) -> list[psutil.Process]:
    """Living processes that carry a run's token: orphans of a group whose leader has gone among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == token and groups.lives(process):
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def kill_carriers(token: str) -> list[psutil.Process]:
    """Kill what carries a run's token, and give what that was."""
    found = carriers(token)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil compares the create time once more
    groups.wait_gone(found, within=5.0)
    return found


def end(run: Run, grace: float = GRACE) -> list[str]:
    """End what lives of a run: asked first, stage by stage, then killed by the group. Returns what was found."""
    found = []
    for stage in sorted({record.stop_stage for record in run.records}):
        records = [record for record in run.records if record.stop_stage == stage]
        leaders = {record: process for record in records if (process := leader(record))}
        found += [f"{record.name} (pid {record.pid})" for record in leaders]
        _ask(leaders.values(), grace)
    return found + [f"orphan (pid {process.pid})" for process in kill_carriers(run.token)]


def _ask(leaders: Iterable[psutil.Process], grace: float) -> None:
    leaders = list(leaders)
    for process in leaders:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in groups.wait_gone(leaders, grace):  # the same processes still, so the groups are their own
        groups.end_group(process.pid)
