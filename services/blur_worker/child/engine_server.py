"""`python -m services.blur_worker.child.engine_server SOCKET`: load the engine, fork child processes of blur workers.

A blur worker starts a fork server of its own, unless it is given the socket of this one, which can be started before
it: then the engine is loaded while the worker's libraries are, and stays loaded when a worker is started again.
"""

import os
import socket
import sys
from multiprocessing import forkserver
from pathlib import Path

from services.blur_worker.sandbox import Confinement

_CLEAN = "--clean"
"""Given to itself: its environment is clean, but for what the system or Python's start adds to every process."""
PRELOADED = ["services.common.infra.process.collect_later", "services.blur_worker.warm_engine"]


def main() -> None:
    """Serve until SIGTERM."""
    if _CLEAN not in sys.argv:
        # What it was started with stays in the memory of a process, and of its forks.
        clean = Confinement().clean_environment(os.environ)
        os.execve(sys.executable, [*sys.orig_argv, _CLEAN], clean)  # noqa: S606 - this very program
    path = Path(sys.argv[1])
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    alive, _ = os.pipe()  # whose other end stays open: SIGTERM ends this process
    forkserver.main(listener.detach(), alive, PRELOADED)


if __name__ == "__main__":
    main()
