"""Where the folders of Unix sockets are: below the temporary folder, if its path is short enough for them."""

import os
import tempfile
from pathlib import Path

LONGEST_SOCKET_PATH = 103
"""In bytes: sockaddr_un holds 104 on macOS (on Linux 108), with the closing zero."""
USUAL_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - private folders are made in them
"""Where sockets are if the temporary folder's path is too long."""
_LONGEST_NAME = f"imageblur-scratch-{os.getuid()}-12345678/head-start-12345678"
"""The longest path of a socket in there."""


def socket_parent() -> Path:
    """Return the temporary folder or, if the paths of sockets in it would be too long, a usual one that can be written.

    If there is none, the temporary folder: `keep_sockets_in` refuses it.
    """
    temporary = Path(tempfile.gettempdir())
    if has_room(temporary, _LONGEST_NAME):
        return temporary
    return next((folder for folder in USUAL_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), temporary)


def has_room(folder: Path, name: str) -> bool:
    """Return whether the path of a socket of this name in a folder is short enough."""
    return len(os.fsencode(folder / name)) <= LONGEST_SOCKET_PATH
