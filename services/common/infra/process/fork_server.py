"""What this project uses of the internals of multiprocessing. tests/contract/test_fork_server.py watches it."""

import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import forkserver, reduction, resource_tracker, util
from pathlib import Path
from typing import Any

from services.common.domain.errors import ConfigurationError
from services.common.infra.process.socket_folder import LONGEST_SOCKET_PATH, USUAL_FOLDERS, has_room

_connect_to_own = forkserver.connect_to_new_process


def keep_sockets_in(folder: Path) -> None:
    """Have fork servers of this process listen in this folder, which only its user can open.

    Otherwise each makes a temporary folder, which is left for ever if this process is killed.

    Raises:
        ConfigurationError: The folder's path is too long.
    """
    if not has_room(folder, "listener-12345678"):
        raise ConfigurationError(
            f"TMPDIR is too long: sockets in {folder} would have paths of more than {LONGEST_SOCKET_PATH} bytes, and "
            f"{' and '.join(map(str, USUAL_FOLDERS))} cannot be written. Set TMPDIR to a folder with a shorter path."
        )
    multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]  # noqa: SLF001


def start_no_tracker() -> None:
    """Have fork servers of this process do without the process that removes shared memory and semaphores: 6 MB.

    Nothing here has any. The tracker counts as alive as long as it can be written to.
    """
    tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001
    if tracker._fd is None:  # noqa: SLF001
        tracker._fd = os.open(os.devnull, os.O_WRONLY)  # noqa: SLF001


def start_by_fork(preload: list[str]) -> None:
    """Start the fork server of this process as a fork of it, which shares its memory, instead of a new Python.

    Only for a process with one thread, and nothing in memory that the fork server's own forks may not see. If the fork
    server is killed, the next one is started as usual.
    """
    usual = util.spawnv_passfds

    def spawn(_path: bytes, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
        util.spawnv_passfds = usual
        sys.stdout.flush()
        sys.stderr.flush()
        if pid := os.fork():
            return pid
        try:
            _become_fork_server(arguments[-1], descriptors)
        finally:
            os._exit(1)

    assert threading.active_count() == 1, "a fork has none of the other threads, but the locks that they hold"
    gc.freeze()
    util.spawnv_passfds = spawn  # type: ignore[assignment]
    forkserver.set_forkserver_preload(preload)
    forkserver.ensure_running()


def fork_elsewhere(address: Path, within: float = 20.0) -> None:
    """Have the processes that this one starts forked by a fork server of another program, which listens there.

    While it does not listen, a start waits for so many seconds, then raises ConnectionError.
    """
    unused = os.open(os.devnull, os.O_WRONLY)  # the end of a pipe that would keep the fork server alive

    def connect_to_new_process(descriptors: Sequence[int]) -> tuple[int, int]:
        with _connect(address, within) as server:
            status, child_status = os.pipe()
            child_data, data = os.pipe()
            try:
                tracker: Any = resource_tracker.getfd()
                reduction.sendfds(server, [child_data, child_status, unused, tracker, *descriptors])
            except BaseException:
                os.close(status)
                os.close(data)
                raise
            finally:
                os.close(child_status)
                os.close(child_data)
            return status, data

    forkserver.connect_to_new_process = connect_to_new_process  # type: ignore[assignment]


def forks_elsewhere() -> bool:
    """Return whether another program forks the processes that this one starts."""
    return forkserver.connect_to_new_process != _connect_to_own


def _connect(address: Path, within: float) -> socket.socket:
    deadline = time.monotonic() + within
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(address))
        except (ConnectionError, FileNotFoundError) as error:  # it is being started
            client.close()
            if time.monotonic() > deadline:
                raise ConnectionError(f"no engine server listens at {address}") from error
            time.sleep(0.02)
        else:
            return client


def _become_fork_server(command: str, descriptors: Sequence[int]) -> None:
    """Run the command that a new Python would be given, with no other descriptors and the usual signal handlers."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
    forkserver._forkserver._lock = threading.Lock()  # type: ignore[attr-defined]  # noqa: SLF001 - held at the fork
    exec(command, {})  # noqa: S102 - of the standard library


SOCKETS = "listener-*"
"""The names of their sockets."""
