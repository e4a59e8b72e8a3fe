"""A gateway and a worker over S3: an order through both, and what a broken upload leaves."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import grpc
import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from pydantic import SecretStr
from sqlalchemy import func, select

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image, UnownedBlobs
from services.common.domain.orders import original_key, result_key
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, Gateway, running
from tests.support.blob_keys import blob_keys
from tests.support.blur_workers import blur_worker, instant_worker
from tests.support.images import encode, opened, whole_photo
from tests.support.s3 import S3Server
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

HEADER = pb.OrderHeader(email="s3@example.org")
CHUNK = b"\0" * (1 << 20)

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def gateway(
    database: Database,  # noqa: ARG001 - brought to the newest revision
    database_url: str,
    valkey: redis.Redis,  # noqa: ARG001 - emptied
    valkey_server: ValkeyServer,
    s3_url: str,
) -> Iterator[Gateway]:
    settings = GatewaySettings(
        database_url=database_url,
        broker_url=valkey_server.url,
        blob_url=s3_url,
        secret_key=SecretStr(SECRET),
        gateway_address="127.0.0.1:0",
    )
    with running(settings) as gateway:
        yield gateway


@pytest.fixture
def blur(
    database: Database, queues: Broker, store: BlobStore, children: ChildPool, tmp_path: Path
) -> Iterator[BlurImage]:
    with blur_worker(database, store, queues, children, tmp_path, window=1) as blur:
        yield blur


def test_an_order_goes_through(gateway: Gateway, blur: BlurImage, store: BlobStore, database: Database) -> None:
    photo = encode(whole_photo(), "PNG")
    order = gateway.blur.BlurOrder(
        pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage(filename="a.png", data=photo)])
    ).order
    key = original_key(UUID(order.order_id), 1)
    assert store.get(key) == photo
    with database.read() as session:
        image_id = session.scalars(select(Image.id)).one()
    blur(image_id)
    status = gateway.blur.Status(pb.StatusRequest(order_id=order.order_id)).order
    assert status.state == order_pb2.ORDER_STATE_SUCCEEDED
    parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order.order_id))
    result = b"".join(part.chunk for part in parts)
    assert opened(result).size == (512, 512)
    with pytest.raises(MissingBlob):  # originals go when their image ends
        store.get(key)
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=order.order_id))
    with pytest.raises(MissingBlob):
        store.get(key.replace("source", "result"))


def test_an_image_is_revised_and_its_original_goes(
    gateway: Gateway, blur: BlurImage, store: BlobStore, database: Database
) -> None:
    photo = encode(whole_photo(), "PNG")
    header = pb.OrderHeader(email="s3@example.org")
    header.keep_originals_for.FromSeconds(60)
    order_id = gateway.blur.BlurOrder(
        pb.BlurOrderRequest(order=header, images=[pb.InputImage(filename="a.png", data=photo)])
    ).order.order_id
    with database.read() as session:
        image_id = session.scalars(select(Image.id)).one()

    def result() -> bytes:
        parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order_id))
        return b"".join(part.chunk for part in parts)

    blur(image_id)
    before = result()
    spec = order_pb2.BlurSpec(solid=order_pb2.Solid())
    gateway.blur.ReviseImages(pb.ReviseImagesRequest(order_id=order_id, spec=spec))
    assert result() == before
    blur(image_id)
    assert opened(result()).getextrema() == ((0, 0),) * 3
    assert blob_keys(store) == [result_key(order_id, 1, 1), original_key(order_id, 1)]
    gateway.blur.DeleteOriginals(pb.DeleteOriginalsRequest(order_id=order_id))
    assert blob_keys(store) == [result_key(order_id, 1, 1)]


def test_an_original_in_a_bucket_is_drawn(gateway: Gateway, instant_children: ChildPool) -> None:
    header = pb.OrderHeader(spec=order_pb2.BlurSpec(solid=order_pb2.Solid()))
    header.keep_originals_for.FromSeconds(3600)
    image = pb.InputImage(filename="ada.png", data=encode(whole_photo(), "PNG"))
    order = gateway.blur.BlurOrder(pb.BlurOrderRequest(order=header, images=[image])).order
    (listed,) = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order.order_id)).images
    with instant_worker(gateway.settings.broker_url, instant_children, gateway.settings.blob_url):
        request = pb.PreviewImageRequest(order_id=order.order_id, image_id=listed.image_id, max_side=64)
        answer = gateway.blur.PreviewImage(request)
    assert (answer.width, answer.height) == whole_photo().size
    assert max(opened(answer.data).size) == 64


def test_an_upload_that_breaks_leaves_nothing_in_the_bucket(
    gateway: Gateway, store: BlobStore, database: Database, s3_server: S3Server
) -> None:
    broken = threading.Event()

    def parts() -> Iterator[pb.StreamBlurOrderRequest]:
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=2))
        for name in ("small.jpg", "large.jpg"):
            yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename=name))
            for _ in range(1 if name == "small.jpg" else 13):
                yield pb.StreamBlurOrderRequest(chunk=CHUNK)
        broken.wait(60)

    call = gateway.blur.StreamBlurOrder.future(parts())
    eventually(lambda: len(s3_server.unfinished_uploads()) == 1)
    call.cancel()
    broken.set()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()

    def nothing_is_left() -> bool:
        with database.read() as session:
            rows = session.scalar(select(func.count()).select_from(UnownedBlobs))
        return not rows and not s3_server.unfinished_uploads() and not blob_keys(store)

    eventually(nothing_is_left)


def test_an_upload_goes_on_and_leaves_only_originals(gateway: Gateway, store: BlobStore) -> None:
    files = [bytes([n]) * size for n, size in enumerate((5_000_000, 1_000, 9_000_000))]
    whole = b"".join(files)
    images = [pb.ImageStart(filename=f"{n}.jpg", size_bytes=len(data)) for n, data in enumerate(files)]
    upload = gateway.blur.CreateUpload(pb.CreateUploadRequest(order=HEADER, images=images)).upload

    def append(begin: int, end: int) -> int:
        def parts() -> Iterator[pb.AppendUploadRequest]:
            yield pb.AppendUploadRequest(start=pb.AppendStart(upload_id=upload.upload_id, offset=begin))
            for at in range(begin, end, 1 << 20):
                yield pb.AppendUploadRequest(chunk=whole[at : min(end, at + (1 << 20))])

        return gateway.blur.AppendUpload(parts()).upload.received_bytes

    assert append(0, 2_000_000) == 2_000_000
    assert append(2_000_000, 12_345_678) == 12_345_678
    assert append(12_345_678, len(whole)) == len(whole)
    gateway.blur.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload.upload_id))
    keys = [original_key(upload.upload_id, n) for n in (1, 2, 3)]
    assert blob_keys(store) == keys
    assert [store.get(key) for key in keys] == files
