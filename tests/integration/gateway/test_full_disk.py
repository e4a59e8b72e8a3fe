"""A disk that runs full in the middle: the order is refused, nothing of it stays, and the next one goes through."""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.gateway.settings import MIB, GatewaySettings
from services.scheduler import sweep
from services.scheduler.sweep import Sweep
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.limits.test_admission import large
from tests.integration.gateway.test_orders import HEADER, assert_nothing_left, refused
from tests.integration.gateway.test_readiness import retry_seconds
from tests.support.disk import NoSmallDisk, fill, small_disk
from tests.support.waiting import eventually

IMAGES = 3_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 64))
        except NoSmallDisk as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no disk to be filled: {error}")
        yield disk


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def on_disk(settings: GatewaySettings, disk: Path) -> GatewaySettings:
    """Everything on the small disk, and no room set aside on it."""
    return settings.model_copy(
        update={
            "database_url": f"sqlite:///{disk}/imageblur.db",
            "blob_url": str(disk / "blobs"),
            "min_free_mb": 0,
            "max_message_bytes": 32 * MIB,
            "max_bytes_in_flight": 512 * MIB,
            "max_image_bytes": 60 * MIB,
            "max_order_bytes": 60 * MIB,
            "max_images": 10_000,
        }
    )


@pytest.fixture
def gateway(on_disk: GatewaySettings) -> Iterator[Gateway]:
    database = Database(on_disk.database_url)
    migrations.upgrade(database)
    database.close()
    with running(on_disk) as gateway:
        yield gateway


@pytest.fixture
def stored(on_disk: GatewaySettings) -> Iterator[Database]:
    database = Database(on_disk.database_url)
    yield database
    database.close()


def assert_refused(call: object, request: object) -> None:
    error = refused(grpc.StatusCode.UNAVAILABLE, call, request)
    assert retry_seconds(error) > 0


@pytest.fixture
def swept(stored: Database, on_disk: GatewaySettings, queues: Broker, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setattr(sweep, "SILENT_UPLOAD_SECONDS", 0)
    return Sweep(stored, BlobStore(on_disk.blob_url), queues, window=2)


def assert_nothing_stays(gateway: Gateway, stored: Database, swept: Sweep) -> None:
    """Gone at once; or, where even that found no room because the file was still being written, with the next sweep."""
    with contextlib.suppress(AssertionError):
        assert_nothing_left(gateway, stored, within=1)
        return
    swept.blobs_without_order()
    assert_nothing_left(gateway, stored)


def stream(*sizes: int) -> Iterator[pb.StreamBlurOrderRequest]:
    yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=len(sizes)))
    for size in sizes:
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
        for _ in range(size // MIB):
            yield pb.StreamBlurOrderRequest(chunk=bytes(MIB))


def test_a_disk_that_fills_up_in_an_upload(gateway: Gateway, stored: Database, disk: Path, swept: Sweep) -> None:
    filling = fill(disk, leaving=12 * MIB)
    assert_refused(gateway.blur.BlurOrder, large(20 * MIB))
    assert_nothing_stays(gateway, stored, swept)
    # Down to the last byte: what was stored of it has to go before the database can write again.
    assert_refused(gateway.blur.StreamBlurOrder, stream(4 * MIB, 4 * MIB, 20 * MIB))
    assert_nothing_stays(gateway, stored, swept)
    filling.unlink()
    assert gateway.blur.BlurOrder(large(20 * MIB)).order.order_id


def test_a_disk_that_fills_up_in_a_commit(gateway: Gateway, stored: Database, disk: Path, swept: Sweep) -> None:
    ready, go_on = threading.Event(), threading.Event()

    def parts() -> Iterator[pb.StreamBlurOrderRequest]:
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=IMAGES))
        for number in range(IMAGES):
            yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename=f"{number:0200}.jpg"))
            yield pb.StreamBlurOrderRequest(chunk=b"x")
        ready.set()
        go_on.wait(60)

    answer = gateway.blur.StreamBlurOrder.future(parts())
    assert ready.wait(60)
    eventually(lambda: len(gateway.files()) == IMAGES - 1)  # the last one ends with the stream
    filling = fill(disk, leaving=MIB // 4)
    go_on.set()
    error = answer.exception(timeout=60)
    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "database" in (error.details() or "")
    assert_nothing_stays(gateway, stored, swept)
    filling.unlink()
    assert gateway.blur.BlurOrder(large(MIB)).order.order_id


def test_a_client_that_goes_away_makes_room_on_a_full_disk(gateway: Gateway, stored: Database, disk: Path) -> None:
    gone = threading.Event()

    def parts() -> Iterator[pb.StreamBlurOrderRequest]:
        yield from stream(4 * MIB, 4 * MIB)
        gone.wait(60)

    call = gateway.blur.StreamBlurOrder.future(parts())
    eventually(lambda: sum(gateway.sizes()) >= 7 * MIB)
    fill(disk, leaving=0)
    call.cancel()
    gone.set()
    # The database has no room to say so before the blobs are gone.
    assert_nothing_left(gateway, stored)
