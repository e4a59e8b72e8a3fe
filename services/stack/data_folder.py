"""Paths of one data folder."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from services.common.infra.process.fork_server import SOCKETS
from services.common.infra.process.socket_folder import has_room, socket_parent


@dataclass(frozen=True)
class DataFolder:
    """A data folder and the paths in it, all absolute."""

    root: Path

    @property
    def run(self) -> Path:
        """Return the folder of files that only matter while a stack runs."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Return the file that the running stack locks."""
        return self.run / "lock"

    @property
    def processes(self) -> Path:
        """Return the registry of processes that the stack has started and not yet ended."""
        return self.run / "processes.json"

    @property
    def ready(self) -> Path:
        """Return the file with the stack's addresses, which exists while the gateway answers."""
        return self.run / "ready.json"

    @property
    def database(self) -> Path:
        """Return the SQLite database."""
        return self.root / "imageblur.db"

    @property
    def blobs(self) -> Path:
        """Return the folder of originals and results."""
        return self.root / "blobs"

    @property
    def mailbox(self) -> Path:
        """Return the Maildir of the local mailbox."""
        return self.root / "mailbox"

    @property
    def secret_key(self) -> Path:
        """Return the file with the key that signs links."""
        return self.root / "secret.key"

    @property
    def valkey_log(self) -> Path:
        """Return the log of the embedded Valkey in this run."""
        return self.run / "valkey.log"

    @property
    def valkey_socket(self) -> Path:
        """Return the socket: in the run folder or, if that path is too long, in a private temporary folder."""
        if has_room(self.run, "listener-12345678"):  # of a fork server, in the same folder
            return self.run / "valkey.sock"
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return socket_parent() / f"imageblur-{os.getuid()}-{name}" / "valkey.sock"

    @property
    def engine_socket(self) -> Path:
        """Return the socket of the engine server, named like those of fork servers."""
        return self.sockets / SOCKETS.replace("*", "engine")

    @property
    def sockets(self) -> Path:
        """Return the folder of sockets, which only this user can open."""
        return self.valkey_socket.parent

    def create(self) -> None:
        """Create the folders, closed to other users: they will hold images and addresses.

        Raises:
            PermissionError: Another user owns the private temporary folder, or can open it.
            OSError: A folder cannot be created.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.blobs, self.mailbox, self.sockets):
            folder.mkdir(mode=0o700, exist_ok=True)
        private = self.sockets
        status = private.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{private} is not a folder that only this user can open")

    def remove_sockets(self) -> None:
        """Remove the sockets of fork servers, which a killed stack leaves."""
        for socket in self.sockets.glob(SOCKETS):
            socket.unlink(missing_ok=True)

    def remove_temporary(self) -> None:
        """Remove sockets, and their folder if it is outside the data folder."""
        self.remove_sockets()
        if self.sockets != self.run:
            self.valkey_socket.unlink(missing_ok=True)
            self.sockets.rmdir()


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on the disk: they survive a power cut. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
