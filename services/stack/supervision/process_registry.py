"""The registry: a file with the processes of a run, from which the next run ends those of a stack that was killed."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

RUN_VARIABLE = "IMAGEBLUR_STACK_RUN"
"""Environment variable with the run's token, inherited by all its processes."""


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """A process that a stack started; it leads a group of its own id. create_time: seconds since 1970."""

    name: str
    pid: int
    create_time: float
    stop_stage: int


@dataclass(frozen=True)
class RunRecord:
    """The processes of one run of a stack."""

    token: str
    processes: tuple[ProcessRecord, ...] = ()


class ProcessRegistry:
    """Writes the file anew with every change, so that it survives a killed stack."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._run = RunRecord(token)
        self._write()

    def add(self, name: str, pid: int, stop_stage: int) -> None:
        """Record a process that was just started and not yet waited for."""
        created = psutil.Process(pid).create_time()
        record = ProcessRecord(name=name, pid=pid, create_time=created, stop_stage=stop_stage)
        self._update(*self._run.processes, record)

    def remove(self, pid: int) -> None:
        """Remove a process that has ended with its group."""
        self._update(*(record for record in self._run.processes if record.pid != pid))

    def close(self) -> None:
        """Remove the file, once every process has ended."""
        self._path.unlink(missing_ok=True)

    def _update(self, *processes: ProcessRecord) -> None:
        self._run = RunRecord(self._run.token, processes)
        # On a full disk services must still be restarted; the next change writes everything again.
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self._run), indent=1), encoding="utf-8")
        draft.replace(self._path)


def read_registry(path: Path) -> RunRecord | None:
    """Return what the last run recorded; None if it stopped properly or the file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return RunRecord(str(content["token"]), tuple(ProcessRecord(**record) for record in content["processes"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
