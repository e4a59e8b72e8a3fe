"""Ends the servers of a test session even when pytest is killed: a small process that outlives it and tidies up.

Run as a program it reads `+PID CREATE_TIME` and `-PID` lines; at the end of input kills what is left.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys

import psutil

_guard: subprocess.Popen[bytes] | None = None


def protect(pid: int) -> None:
    """Kill the process, its descendants and its group when this one ends, however it ends. It must lead its group."""
    _tell(f"+{pid} {psutil.Process(pid).create_time()}\n")


def release(pid: int) -> None:
    """The process has ended."""
    _tell(f"-{pid}\n")


def _tell(line: str) -> None:
    global _guard  # noqa: PLW0603 - one for the whole process, made when first needed
    if _guard is None:
        _guard = subprocess.Popen([sys.executable, "-u", __file__], stdin=subprocess.PIPE, start_new_session=True)
        atexit.register(_guard.communicate)
    assert _guard.stdin is not None
    _guard.stdin.write(line.encode())
    _guard.stdin.flush()


def main() -> None:
    left: dict[int, float] = {}
    for line in sys.stdin:
        pid, _, create_time = line[1:].strip().partition(" ")
        if line[0] == "+":
            left[int(pid)] = float(create_time)
        else:
            left.pop(int(pid), None)
    for pid, time in left.items():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.create_time() == time:
                # Services of a stack lead groups of their own.
                for descendant in [process, *process.children(recursive=True)]:
                    descendant.kill()
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
