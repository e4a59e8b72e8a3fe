"""Find and kill process groups. Each program leads a group, so its orphans can be found by it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Return whether this very process still runs; a zombie, which only waits to be reaped, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def wait_until_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait for processes, which need not be children; return those still alive after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def group_members(group: int) -> list[psutil.Process]:
    """Return the processes of a group that are alive."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getpgid(process.pid) == group and is_alive(process):
                members.append(process)
    return members


def kill_group(group: int) -> bool:
    """Send SIGKILL to a group; return False if it is empty."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS raises PermissionError if only zombies are left
        return False
    return True


def kill_group_and_wait(group: int, timeout: float = 5.0) -> None:
    """Kill a group and return when no member is alive."""
    if kill_group(group):
        wait_until_gone(group_members(group), timeout)
