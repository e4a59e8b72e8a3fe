"""Start a program: a Python module as a fork of a process that has loaded the libraries, others by executing them.

Forked services share the memory of these libraries and start in a fraction of the time. On macOS, whose system
libraries do not survive a fork, modules are executed like other programs.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from setproctitle import setproctitle

from services.common.infra.process.fork_server import start_by_fork

_context = multiprocessing.get_context("forkserver")
_PRELOADED = ["services.common.infra.process.collect_later", "services.stack.supervision.preload"]
_MODULE = (sys.executable, "-u", "-m")
_ATTEMPTS, _RETRY_SECONDS = 10, 0.1
FORKS = sys.platform == "linux"


def forks(arguments: tuple[str, ...]) -> bool:
    """Return whether this command is started as a fork."""
    return FORKS and tuple(arguments[:3]) == _MODULE


def start_fork_server() -> None:
    """Start it while this process has one thread; otherwise the first program starts it as a new Python.

    Raises:
        OSError: There is no room for one more process.
    """
    if threading.active_count() == 1:
        start_by_fork(_PRELOADED)


class Started(Protocol):
    """A process that leads a group of its own."""

    @property
    def pid(self) -> int:
        """Its id, and that of its group."""

    def terminate(self) -> None:
        """Send SIGTERM unless it has ended."""

    def wait(self) -> int:
        """Wait for its end; return the exit code, or the negative number of the signal that ended it."""


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module with this Python, unbuffered."""
    return (*_MODULE, module, *arguments)


def launch(arguments: tuple[str, ...], environment: Mapping[str, str], output: int) -> Started:
    """Start a program whose standard output and error are the descriptor `output`. Raises: OSError."""
    if forks(arguments):
        return _Fork(arguments[3], arguments[4:], environment, output)
    return subprocess.Popen(  # noqa: S603 - the programs are this project's own
        arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, process_group=0
    )


class _Fork:
    """A `Started` that was forked."""

    def __init__(self, module: str, arguments: tuple[str, ...], environment: Mapping[str, str], output: int) -> None:
        _context.set_forkserver_preload(_PRELOADED)
        ready, child_end = _context.Pipe(duplex=False)
        with ready:
            with child_end, Connection(os.dup(output), readable=False) as lines:
                work = (module, tuple(arguments), dict(environment), lines, child_end)
                self._process: BaseProcess = _context.Process(target=_run, args=work)
                _start(self._process)
            # Its group must exist before anybody can be asked to kill it.
            ready.poll(None)
        assert self._process.pid
        self.pid = self._process.pid

    def terminate(self) -> None:
        """See `Started`."""
        self._process.terminate()

    def wait(self) -> int:
        """See `Started`."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _start(process: BaseProcess) -> None:
    """Fork a process; a fork server that was just killed may not be known as dead yet. Raises: OSError."""
    for _ in range(_ATTEMPTS):
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            failure = error
            time.sleep(_RETRY_SECONDS)
        else:
            return
    raise OSError(f"the fork server ended: {failure}")


def _run(
    module: str, arguments: tuple[str, ...], environment: dict[str, str], lines: Connection, child_end: Connection
) -> None:
    """Run a module as if Python had been started with it."""
    gc.enable()  # also if a module could not be preloaded
    os.setpgid(0, 0)
    with lines:
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    child_end.close()
    setproctitle(" ".join(python_module(module, *arguments)))  # while the environment is where it was at the start
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # The fork server ends its forks without them.
        atexit._run_exitfuncs()  # noqa: SLF001
