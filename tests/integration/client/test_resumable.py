"""Orders that go on after a lost line, over a real gateway that is killed or that a proxy cuts off."""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from imageblur_client import AsyncClient, Client, InvalidArgumentError, ServerUnavailableError

from services.common.infra.blobs import BlobStore
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running, settings
from tests.support.ports import free_port
from tests.support.waiting import eventually

__all__ = ["settings"]

_COMMAND = [sys.executable, "-c", "from imageblur_client.cli import main; main()"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite is enough: what the database does is tested elsewhere."""
    return sqlite_url


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def roomy(settings: GatewaySettings, port: int) -> GatewaySettings:
    limits = {
        "max_image_bytes": 128 << 20,
        "max_order_bytes": 4 << 30,
        "max_images": 1000,
        "max_message_bytes": 8 << 20,
        "gateway_address": f"127.0.0.1:{port}",
        "min_free_mb": 0,
    }
    return settings.model_copy(update=limits)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Forty megabytes."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(10)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (1000 + number) + os.urandom(4_000_000))
    return paths


class Process:
    """A gateway that can be killed."""

    def __init__(self, settings: GatewaySettings) -> None:
        values = settings.model_dump(
            include={"database_url", "broker_url", "blob_url", "gateway_address", "min_free_mb"}
        )
        names = {f"IMAGEBLUR_{name.upper()}": str(value) for name, value in values.items()}
        names["IMAGEBLUR_SECRET_KEY"] = settings.secret_key.get_secret_value()
        names["IMAGEBLUR_GATEWAY_METRICS_PORT"] = "0"
        self._environment = os.environ | names
        self._port = int(settings.gateway_address.rpartition(":")[2])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "services.gateway"], env=self._environment)
        eventually(self._listens, within=120)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture
def process(roomy: GatewaySettings) -> Iterator[Process]:
    process = Process(roomy)
    process.start()
    yield process
    process.kill()


def check_stored(settings: GatewaySettings, files: list[Path]) -> None:
    folder = Path(settings.blob_url)
    stored = sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert stored == sorted(path.read_bytes() for path in files)


def test_an_upload_goes_on_after_its_gateway_was_killed(
    process: Process, roomy: GatewaySettings, port: int, files: list[Path]
) -> None:
    sent: list[int] = []
    kills = [12_000_000, 30_000_000]

    def on_progress(octets: int, _total: int) -> None:
        sent.append(octets)
        if kills and octets > kills[0]:
            kills.pop(0)
            process.kill()
            process.start()

    interruptions: list[str] = []
    with Client(f"127.0.0.1:{port}") as client:
        order = client.resumable_order(
            files, on_progress=on_progress, on_interruption=lambda error: interruptions.append(error.message)
        )
        assert client.status(order.order_id).order.counts.total == 10
    check_stored(roomy, files)
    assert len(interruptions) == 2
    total = sum(path.stat().st_size for path in files)
    # Each kill costs a part that was not recorded, and what was still on its way.
    steps = [second - first for first, second in itertools.pairwise(sent)]
    again = -sum(step for step in steps if step < 0)
    assert again <= 2 * (4 << 20) + 2 * (6 << 20), (again, total)


def test_the_command_goes_on_after_a_kill(roomy: GatewaySettings, port: int, files: list[Path], tmp_path: Path) -> None:
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    command = [*_COMMAND, "--server", f"127.0.0.1:{port}", "order", "-r", str(files[0].parent)]
    with running(roomy) as gateway:
        none = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True, check=False)
        assert none.returncode == 2
        assert "no unfinished upload of these files" in none.stderr.replace("\n", " ").replace("│ ", "")

        begun = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # As soon as something is recorded.
        eventually(lambda: any(size > 3_000_000 for size in gateway.sizes()))
        begun.send_signal(signal.SIGKILL)
        stdout, _ = begun.communicate()
        if b"accepted" in stdout:
            pytest.skip("this machine was faster than the kill")
        resumed = subprocess.run(
            [*command, "--resume", "--json"], env=environment, capture_output=True, text=True, check=False
        )
        assert resumed.returncode == 0, resumed.stderr
        order_id = json.loads(resumed.stdout)["order"]["order_id"]
        assert {path.relative_to(gateway.folder).parts[1] for path in gateway.files()} == {order_id}
        assert not list((tmp_path / "state" / "imageblur" / "uploads").iterdir())
    check_stored(roomy, files)


def test_patience_has_an_end(roomy: GatewaySettings, port: int, files: list[Path]) -> None:
    process = Process(roomy)
    process.start()

    def on_progress(octets: int, _total: int) -> None:
        if octets > 10_000_000:
            process.kill()

    with Client(f"127.0.0.1:{port}") as client:
        begun = time.monotonic()
        with pytest.raises(ServerUnavailableError):
            client.resumable_order(files, on_progress=on_progress, patience=1)
        assert time.monotonic() - begun < 30
        with pytest.raises(ServerUnavailableError):  # at once: the address may be wrong
            client.resumable_order(files)


def test_a_refused_file_is_named_by_the_command(roomy: GatewaySettings, port: int, files: list[Path]) -> None:
    files[3].write_bytes(b"")
    with running(roomy.model_copy(update={"max_image_bytes": 4_000_500})):
        command = [*_COMMAND, "--server", f"127.0.0.1:{port}", "order", *map(str, files)]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 3
        assert f"imageblur: {files[0]}: is larger than 4000500 bytes (INVALID_ARGUMENT)" in refused.stderr
        assert f"imageblur: {files[3]}: is empty (INVALID_ARGUMENT)" in refused.stderr


def test_a_file_that_shrank_is_named(roomy: GatewaySettings, port: int, files: list[Path]) -> None:
    with running(roomy), Client(f"127.0.0.1:{port}") as client:

        def shrink(octets: int, _total: int) -> None:
            if octets > 5_000_000:
                files[2].write_bytes(b"short")

        with pytest.raises(OSError, match=r"2\.jpg"):
            client.resumable_order(files, on_progress=shrink)
        with pytest.raises(InvalidArgumentError):
            client.resumable_order([("a.jpg", b"")])


def test_originals_are_what_was_sent(roomy: GatewaySettings, port: int) -> None:
    with running(roomy) as gateway, Client(f"127.0.0.1:{port}") as client:
        order = client.resumable_order([("a.jpg", b"a" * 9_000_001), ("b.jpg", b"b")], email="ann@example.org")
        assert gateway_originals(gateway, order.order_id) == [b"a" * 9_000_001, b"b"]


def test_the_asynchronous_client_keeps_what_was_sent_before_a_cancellation(
    roomy: GatewaySettings, port: int, files: list[Path]
) -> None:
    async def run(gateway: Gateway) -> str:
        async with AsyncClient(f"127.0.0.1:{port}") as client:
            request_id = str(uuid4())
            begun = asyncio.Event()
            loop = asyncio.get_running_loop()

            def on_progress(octets: int, _total: int) -> None:
                if octets > 12_000_000:
                    loop.call_soon_threadsafe(begun.set)
                    time.sleep(0.05)

            sending = asyncio.create_task(client.resumable_order(files, on_progress=on_progress, request_id=request_id))
            await begun.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert sum(gateway.sizes()) > 4_000_000
            seen: list[int] = []
            order = await client.resumable_order(
                files, on_progress=lambda octets, _total: seen.append(octets), request_id=request_id
            )
            assert seen[0] > 4_000_000
            return order.order_id

    with running(roomy) as gateway:
        order_id = asyncio.run(run(gateway))
        assert {path.relative_to(gateway.folder).parts[1] for path in gateway.files()} == {order_id}
    check_stored(roomy, files)


def gateway_originals(gateway: Gateway, order_id: str) -> list[bytes]:
    blobs = BlobStore(gateway.settings.blob_url)
    return [blobs.get(f"orders/{order_id}/source/{position:06d}") for position in (1, 2)]
