"""A disk that fails: every call is answered UNAVAILABLE, with when to come again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.subscription_service_pb2 import SubscribeRequest

from services.common import migrations
from services.common.db.engine import Database
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import HEADER, order, refused
from tests.support.disk import NoSmallDisk, PowerDisk, power_disk

IMAGE = pb.InputImage(filename="a.jpg", data=b"data")
CALLS: dict[str, Callable[[Gateway, str], Any]] = {
    "BlurOrder": lambda gateway, _: gateway.blur.BlurOrder(pb.BlurOrderRequest(order=HEADER, images=[IMAGE])),
    "CreateUpload": lambda gateway, _: gateway.blur.CreateUpload(
        pb.CreateUploadRequest(order=HEADER, images=[pb.ImageStart(filename="a.jpg", size_bytes=4)])
    ),
    "Status": lambda gateway, order_id: gateway.blur.Status(pb.StatusRequest(order_id=order_id)),
    "DownloadImages": lambda gateway, order_id: list(
        gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order_id))
    ),
    "CancelOrder": lambda gateway, order_id: gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id)),
    "Subscribe": lambda gateway, _: gateway.subscription.Subscribe(SubscribeRequest(email="a@example.org")),
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    try:
        with power_disk(tmp_path / "disk", 64) as disk:
            yield disk
    except NoSmallDisk as error:
        pytest.skip(f"no disk that can fail: {error}")


def test_every_call_is_unavailable(settings: GatewaySettings, disk: PowerDisk) -> None:
    on_disk = settings.model_copy(
        update={
            "database_url": f"sqlite:///{disk.folder}/imageblur.db",
            "blob_url": str(disk.folder / "blobs"),
            "min_free_mb": 0,
        }
    )
    database = Database(on_disk.database_url)
    migrations.upgrade(database)
    database.close()
    with running(on_disk) as gateway:
        known = order(gateway).order_id
        disk.cut()
        for _ in range(2):
            for call in CALLS.values():
                refused(grpc.StatusCode.UNAVAILABLE, lambda _, call=call: call(gateway, known), None)
