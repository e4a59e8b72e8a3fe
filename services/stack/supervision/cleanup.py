"""End the processes of a run whose stack was killed. Nothing else carries that run's token."""

import contextlib
import os
from collections.abc import Sequence

import psutil

from services.stack.supervision import process_groups
from services.stack.supervision.process_registry import RUN_VARIABLE, ProcessRecord, RunRecord

GRACE = 10.0
# Linux counts from the boot time, which is rounded to a second and moves with the clock.
_SAME_CREATE_TIME = 1.5


def find_process(record: ProcessRecord) -> psutil.Process | None:
    """Return the recorded process if it is alive; None if its pid now belongs to another process."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.create_time) < _SAME_CREATE_TIME and process_groups.is_alive(process):
            return process
    return None


def find_by_token(token: str) -> list[psutil.Process]:
    """Return the live processes of a run, orphans of ended services included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == token and process_groups.is_alive(process):
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def kill_by_token(token: str) -> list[psutil.Process]:
    """Kill the live processes of a run and return them."""
    found = find_by_token(token)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil compares the create time once more
    process_groups.wait_until_gone(found, timeout=5.0)
    return found


def end_run(run: RunRecord, grace: float = GRACE) -> list[str]:
    """End the live processes of a run: SIGTERM stage by stage, SIGKILL after `grace` seconds. Return their names."""
    ended = []
    for stage in sorted({record.stop_stage for record in run.processes}):
        records = [record for record in run.processes if record.stop_stage == stage]
        alive = {record: process for record in records if (process := find_process(record))}
        ended += [f"{record.name} (pid {record.pid})" for record in alive]
        _terminate(list(alive.values()), grace)
    return ended + [f"orphan (pid {process.pid})" for process in kill_by_token(run.token)]


def _terminate(processes: Sequence[psutil.Process], grace: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in process_groups.wait_until_gone(processes, grace):  # still alive, so the group is its own
        process_groups.kill_group_and_wait(process.pid)
