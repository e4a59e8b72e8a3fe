"""The drills of docs/operations.md: a backup in the middle of orders, restored into a new stack in which they go on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur_client import Client
from sqlalchemy import select

from services.common import backup
from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.db.orders import image_claims
from services.common.domain.errors import ConfigurationError
from services.common.infra.blobs import BlobStore
from services.gateway.settings import GatewaySettings
from services.stack.background import background_stack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.integration.gateway.conftest import Gateway, running, settings
from tests.integration.steps_of_work import MakeWorker, work_off, worker
from tests.support import postgres
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

__all__ = ["settings", "worker"]

PHOTO = (PHOTOGRAPHS / "color.png").read_bytes()


@pytest.fixture
def roomy(settings: GatewaySettings) -> GatewaySettings:
    return settings.model_copy(update={"max_order_bytes": 10 << 20})


def place(gateway: Gateway, count: int) -> str:
    photos = [pb.InputImage(filename=f"{number}.png", data=PHOTO) for number in range(count)]
    request = pb.BlurOrderRequest(order=pb.OrderHeader(email="kept@example.org"), images=photos)
    return gateway.blur.BlurOrder(request).order.order_id


@pytest.fixture
def restored_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the copy will be."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/copy.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


def copy_database(url: str, to: str, folder: Path) -> None:
    """What an operator does."""
    if url.startswith("sqlite"):
        backup.copy(url, Path(to.removeprefix("sqlite:///")))
        return
    plain, plain_to = (address.replace("+psycopg", "") for address in (url, to))
    binaries, dump = postgres._binaries(), folder / "database.dump"
    commands: list[list[str | Path]] = [
        [binaries / "pg_dump", "--format=custom", f"--file={dump}", plain],
        [binaries / "pg_restore", "--exit-on-error", f"--dbname={plain_to}", dump],
    ]
    for command in commands:
        subprocess.run(command, check=True, timeout=60)


def test_orders_go_on_from_a_backup(
    roomy: GatewaySettings, blobs: BlobStore, worker: MakeWorker, restored_url: str, tmp_path: Path
) -> None:
    assert blobs.folder
    database = Database(roomy.database_url)
    with running(roomy) as gateway:
        half_done, untouched = place(gateway, 3), place(gateway, 2)
        with database.read() as session:
            first, second = session.scalars(
                select(Image.id).join(Order).where(Order.id == UUID(half_done)).order_by(Image.position).limit(2)
            )
        with worker(database, blobs) as blur:
            blur(first)
        with database.write() as session:
            assert image_claims.claim(session, second, lease_seconds=60), "it was being worked on"
        # No worker and no scheduler runs now; orders are still taken.
        copy_database(roomy.database_url, restored_url, tmp_path)
        late = place(gateway, 1)
        shutil.copytree(blobs.folder, tmp_path / "copied")
    shutil.rmtree(blobs.folder)
    blur.lifecycle.after_commit.broker.client.flushall()
    database.close()

    restored = Database(restored_url)
    new = roomy.model_copy(update={"database_url": restored_url, "blob_url": str(tmp_path / "copied")})
    with running(new) as gateway, worker(restored, BlobStore(new.blob_url)) as blur:
        work_off(blur)
        for order_id, count in ((half_done, 3), (untouched, 2)):
            order = gateway.blur.Status(pb.StatusRequest(order_id=order_id)).order
            assert order.state == order_pb2.ORDER_STATE_SUCCEEDED
            parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order_id))
            assert sum(part.WhichOneof("part") == "file" for part in parts) == count
        with pytest.raises(grpc.RpcError) as caught:
            gateway.blur.Status(pb.StatusRequest(order_id=late))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    restored.close()


def test_a_copied_data_folder_is_a_stack(tmp_path: Path) -> None:
    environment = {
        "IMAGEBLUR_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_MAILBOX_PORT": str(free_port()),
        "IMAGEBLUR_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
    }
    with background_stack(tmp_path / "old", environment) as stack, Client(stack.gateway_address) as client:
        order = client.order("moved@example.org", [PHOTOGRAPHS / "hubble_deep_field.jpg"] * 12, notify=True)
        eventually(lambda: client.status(order.order_id).order.counts.succeeded > 0)
        assert stack.stop() == 0
    shutil.copytree(tmp_path / "old", tmp_path / "new", ignore=shutil.ignore_patterns("run"))
    shutil.rmtree(tmp_path / "old")
    with background_stack(tmp_path / "new", environment) as stack, Client(stack.gateway_address) as client:
        for change in client.watch(order.order_id):
            last = change.order
        assert last.counts.succeeded == 12
        assert stack.stop() == 0


def test_a_copy_replaces_nothing_and_is_of_something(tmp_path: Path) -> None:
    (tmp_path / "there.db").touch()
    database = f"sqlite:///{tmp_path}/there.db"
    with pytest.raises(FileExistsError):
        backup.copy(database, tmp_path / "there.db")
    for url in (f"sqlite:///{tmp_path}/nothing.db", "postgresql+psycopg://host/name"):
        with pytest.raises(ConfigurationError):
            backup.copy(url, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
