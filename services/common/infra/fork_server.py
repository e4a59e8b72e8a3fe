"""What this project uses of the internals of multiprocessing. tests/contract/test_fork_server.py watches it."""

import multiprocessing
from pathlib import Path


def keep_sockets_in(folder: Path) -> None:
    """Have fork servers of this process listen in this folder, which only its user can open.

    Otherwise each makes a temporary folder, which is left for ever if this process is killed.
    """
    multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]  # noqa: SLF001


SOCKETS = "listener-*"
"""The names of their sockets."""
