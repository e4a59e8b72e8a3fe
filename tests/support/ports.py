"""Ports for servers that have to be told theirs before they listen.

Not from the range of which the system takes ports for connections and for "any port": there another process may get one
between the moment it was found free and the moment the server listens. A lock on a file for each keeps parallel test
processes, of other checkouts too, off it until this process ends.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_RANGE = range(12_000, 32_000)
_locks: list[int] = []


def free_port() -> int:
    """A port of loopback that no one listens on, for this process alone."""
    folder = Path(tempfile.gettempdir(), f"imageblur-test-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for port in random.sample(_RANGE, 1000):
        lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            _locks.append(lock)
            return port
        os.close(lock)
    raise RuntimeError("there is no free port")
