"""Where the stack keeps what, inside its data folder."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A unix socket's path must fit sockaddr_un: 108 bytes on Linux, 104 on macOS, with the closing zero.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Places:
    """The files and folders of one data folder, all absolute."""

    data: Path

    @property
    def run(self) -> Path:
        """What only means something while a stack runs."""
        return self.data / "run"

    @property
    def lock(self) -> Path:
        """Held by the stack that serves this data folder."""
        return self.run / "lock"

    @property
    def processes(self) -> Path:
        """Every process that the stack has started and not yet ended."""
        return self.run / "processes.json"

    @property
    def ready(self) -> Path:
        """There while the gateway answers: what serves, and where."""
        return self.run / "ready.json"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.data / "imageblur.db"

    @property
    def blobs(self) -> Path:
        """Originals and results."""
        return self.data / "blobs"

    @property
    def mailbox(self) -> Path:
        """E-mails that the local mailbox took."""
        return self.data / "mailbox"

    @property
    def secret_key(self) -> Path:
        """The key that signs links."""
        return self.data / "secret.key"

    @property
    def valkey_log(self) -> Path:
        """What the embedded Valkey says in this run."""
        return self.run / "valkey.log"

    @property
    def valkey_socket(self) -> Path:
        """In the run folder or, where that path is too long for a socket, in a private folder under the temp folder."""
        inside = self.run / "valkey.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"imageblur-{os.getuid()}-{name}" / "valkey.sock"

    def make(self) -> None:
        """Make the folders, closed to other users: they will hold pictures and addresses.

        Raises: OSError, and PermissionError when somebody else owns the folder under the temp folder.
        """
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.blobs, self.mailbox, self.valkey_socket.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        private = self.valkey_socket.parent
        status = private.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{private} is not a folder that only this user can open")

    def clear_temporary(self) -> None:
        """Remove the socket's folder when it lies outside the data folder."""
        if self.valkey_socket.parent != self.run:
            self.valkey_socket.unlink(missing_ok=True)
            self.valkey_socket.parent.rmdir()
