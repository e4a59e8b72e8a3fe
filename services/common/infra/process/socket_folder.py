"""Where the folders of Unix sockets are: below the temporary folder, if its path is short enough for them."""

import os
import tempfile
from pathlib import Path

LONGEST_SOCKET_PATH = 103
"""In bytes: sockaddr_un holds 104 on macOS (on Linux 108), with the closing zero."""
_LONGEST_NAME = f"imageblur-scratch-{os.getuid()}-12345678/head-start-12345678"
"""The longest path of a socket in there."""


def socket_parent() -> Path:
    """Return the temporary folder, or the first usual one that has room for the names of sockets."""
    temporary = Path(tempfile.gettempdir())
    folders = (temporary, Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - private folders are made in it
    return next((folder for folder in folders if has_room(folder, _LONGEST_NAME)), temporary)


def has_room(folder: Path, name: str) -> bool:
    """Return whether the path of a socket of this name in a folder is short enough."""
    return len(os.fsencode(folder / name)) <= LONGEST_SOCKET_PATH
