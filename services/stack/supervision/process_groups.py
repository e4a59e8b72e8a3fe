"""Process groups: each service leads one, and whatever it leaves behind is found by it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import psutil


def lives(process: psutil.Process) -> bool:
    """Whether it is still the same process and not a zombie, which only waits to be collected."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def wait_gone(processes: Iterable[psutil.Process], within: float) -> list[psutil.Process]:
    """Wait for processes that need not be children; those that still live after so many seconds."""
    deadline = time.monotonic() + within
    while (living := [process for process in processes if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return living


def living_members(group: int) -> list[psutil.Process]:
    """Processes of a group, but for zombies."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getpgid(process.pid) == group and lives(process):
                members.append(process)
    return members


def kill_group(group: int) -> bool:
    """Send SIGKILL to a whole group; False when nobody is in it."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says "permission" where only zombies are left
        return False
    return True


def end_group(group: int, within: float = 5.0) -> None:
    """Kill a whole group, and return when nobody lives in it."""
    if kill_group(group):
        wait_gone(living_members(group), within)
