"""Orders over a real socket: taken in whole, refused with the field named, nothing left behind."""

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
import redis
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import func, select

from services.common.db.engine import Database
from services.common.db.models import Email, Image, Order, UnownedBlobs
from tests.integration.gateway.conftest import Gateway
from tests.support.ids import UNKNOWN_ID
from tests.support.waiting import eventually

HEADER = pb.OrderHeader(email="ann@example.org")
PICTURE = pb.InputImage(filename="a.jpg", data=b"not looked at here")


def order(gateway: Gateway, **header: Any) -> order_pb2.Order:
    request = pb.BlurOrderRequest(order=pb.OrderHeader(email="ann@example.org", **header), images=[PICTURE, PICTURE])
    return gateway.blur.BlurOrder(request).order


def parts(*images: tuple[str, list[bytes]], count: int | None = None) -> Iterator[pb.StreamBlurOrderRequest]:
    yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=count or len(images)))
    for name, chunks in images:
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename=name))
        for chunk in chunks:
            yield pb.StreamBlurOrderRequest(chunk=chunk)


def details(error: grpc.RpcError, kind: type) -> object:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            return message
    pytest.fail(f"no {kind.__name__} in {status}")


def fields(error: grpc.RpcError) -> dict[str, str]:
    bad = details(error, error_details_pb2.BadRequest)
    info = details(error, error_details_pb2.ErrorInfo)
    assert info.domain == "imageblur"  # type: ignore[attr-defined]
    return {v.field: v.description for v in bad.field_violations}  # type: ignore[attr-defined]


def refused(code: grpc.StatusCode, call: object, request: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)  # type: ignore[operator]
    assert caught.value.code() is code
    return caught.value


def test_an_order_is_stored_queued_and_its_address_hidden(
    gateway: Gateway, database: Database, valkey: redis.Redis
) -> None:
    accepted = order(gateway)
    assert accepted.state == order_pb2.ORDER_STATE_QUEUED
    assert (accepted.counts.total, accepted.counts.queued) == (2, 2)
    assert accepted.email_hint == "a***@example.org"
    assert len(gateway.files()) == 2
    assert valkey.llen("dramatiq:blur") == 2
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(UnownedBlobs)) == 0
    status = gateway.blur.Status(pb.StatusRequest(order_id=accepted.order_id, view=pb.ORDER_VIEW_FULL))
    assert [image.position for image in status.images] == [1, 2]
    assert not status.next_page_token


def test_an_order_streams_in(gateway: Gateway) -> None:
    stream = parts(("a.jpg", [b"12", b"34"]), ("b.jpg", [b"5"]))
    accepted = gateway.blur.StreamBlurOrder(stream).order
    assert accepted.counts.total == 2
    images = gateway.blur.ListImages(pb.ListImagesRequest(order_id=accepted.order_id)).images
    assert [(image.filename, image.input_bytes) for image in images] == [("a.jpg", 4), ("b.jpg", 1)]
    assert sorted(path.read_bytes() for path in gateway.files()) == [b"1234", b"5"]


def test_everything_wrong_is_named_at_once(gateway: Gateway) -> None:
    spec = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=-1))
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="nobody", request_id="x", spec=spec),
        images=[PICTURE, pb.InputImage(filename="n" * 256), pb.InputImage(data=b"1", spec=spec)],
    )
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
    assert set(fields(error)) == {
        "order.email",
        "order.request_id",
        "order.spec.gaussian.sigma_px",
        "images[1].filename",
        "images[1].data",
        "images[2].spec.gaussian.sigma_px",
    }
    assert not gateway.files()


@pytest.mark.parametrize(
    ("email", "says"),
    [("", "is required with notify"), ("a@b", "no dot"), ("a b@c.de", "not an e-mail"), ("a@b.c\nx", "not an")],
)
def test_bad_addresses(gateway: Gateway, email: str, says: str) -> None:
    request = pb.BlurOrderRequest(order=pb.OrderHeader(email=email, notify=True), images=[PICTURE])
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
    assert says in fields(error)["order.email"]
    if email:
        placed = order(gateway)
        send = pb.SendImagesRequest(order_id=placed.order_id, email=email, when_ready=True)
        assert says in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.SendImages, send))["email"]


def test_no_images_too_many_too_large(gateway: Gateway) -> None:
    none = pb.BlurOrderRequest(order=HEADER)
    assert "images" in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, none))
    many = pb.BlurOrderRequest(order=HEADER, images=[PICTURE] * 6)
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, many)
    assert fields(error) == {"images": "are more than 5"}
    large = pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage(data=b"x" * 600_001)])
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, large)
    assert fields(error) == {"images[0].data": "is larger than 600000 bytes"}
    message = pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage(data=b"x" * (1 << 20))])
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, message)
    assert "StreamBlurOrder" in (error.details() or "")
    stream = parts(*((f"{n}.jpg", [b"x" * 550_000]) for n in range(4)))
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.StreamBlurOrder, stream)
    assert fields(error) == {"images": "are larger than 2000000 bytes together"}
    eventually(lambda: not gateway.files())


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ([], "start"),
        ([pb.StreamBlurOrderRequest(chunk=b"x")], "start"),
        ([*parts(("a", [b"1"]), count=2)], "start.image_count"),
        ([*parts(("a", [b"1"]), ("b", [b"2"]), count=1)], "image"),
        ([*parts(("a", []))], "images[0].data"),
        ([*parts(("a", [b"x" * 601_000]))], "images[0].data"),
        ([*parts(count=1), pb.StreamBlurOrderRequest(chunk=b"x")], "chunk"),
        ([*parts(count=1), pb.StreamBlurOrderRequest(image=pb.ImageStart(size_bytes=2)),
          pb.StreamBlurOrderRequest(chunk=b"x")], "images[0].size_bytes"),
        ([*parts(count=1), pb.StreamBlurOrderRequest(image=pb.ImageStart(sha256=hashlib.sha256(b"y").digest())),
          pb.StreamBlurOrderRequest(chunk=b"x")], "images[0].sha256"),
    ],
)  # fmt: skip
def test_a_broken_stream_names_the_field_and_leaves_nothing(
    gateway: Gateway, database: Database, stream: list[pb.StreamBlurOrderRequest], field: str
) -> None:
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.StreamBlurOrder, iter(stream))
    assert list(fields(error)) == [field]
    assert_nothing_left(gateway, database)


def test_a_client_that_goes_away_leaves_nothing(gateway: Gateway, database: Database) -> None:
    def half() -> Iterator[pb.StreamBlurOrderRequest]:
        yield from parts(("a.jpg", [b"1"]), ("b.jpg", [b"2" * 1000]), count=3)
        eventually(gateway.files)
        call.cancel()

    call = gateway.blur.StreamBlurOrder.future(half())
    with pytest.raises(grpc.FutureCancelledError):
        call.result()
    assert_nothing_left(gateway, database)


def assert_nothing_left(gateway: Gateway, database: Database, within: float = 60) -> None:
    def rows() -> int:
        with database.read() as session:
            rows = sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Order, Image))
            # Without those that are removed again when no worker can be left that has an image of the order.
            uploads = session.scalar(select(func.count()).where(UnownedBlobs.state != "REMOVED"))
            return rows + (uploads or 0)

    eventually(lambda: not gateway.files() and rows() == 0, within=within)


def test_validate_only_checks_and_stores_nothing(gateway: Gateway, database: Database) -> None:
    preview = order(gateway, validate_only=True)
    assert preview.order_id == ""
    assert preview.counts.total == 2
    assert_nothing_left(gateway, database)


def test_a_repeated_request_makes_one_order_and_another_payload_is_refused(
    gateway: Gateway, database: Database
) -> None:
    request_id = str(uuid4())
    first, second = order(gateway, request_id=request_id), order(gateway, request_id=request_id)
    assert first.order_id == second.order_id
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 1
    with pytest.raises(grpc.RpcError) as caught:
        order(gateway, request_id=request_id, locale="ru")
    assert set(fields(caught.value)) == {"request_id"}


@pytest.mark.parametrize(
    ("order_id", "code"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        ("42", grpc.StatusCode.INVALID_ARGUMENT),
        (UNKNOWN_ID, grpc.StatusCode.NOT_FOUND),
    ],
)
def test_unknown_and_malformed_ids(gateway: Gateway, order_id: str, code: grpc.StatusCode) -> None:
    refused(code, gateway.blur.Status, pb.StatusRequest(order_id=order_id))
    refused(code, gateway.blur.ListImages, pb.ListImagesRequest(order_id=order_id))
    refused(code, lambda r: list(gateway.blur.WatchStatus(r)), pb.WatchStatusRequest(order_id=order_id))
    refused(code, gateway.blur.SendImages, pb.SendImagesRequest(order_id=order_id))
    refused(code, lambda r: list(gateway.blur.DownloadImages(r)), pb.DownloadImagesRequest(order_id=order_id))
    refused(code, gateway.blur.CancelOrder, pb.CancelOrderRequest(order_id=order_id))
    refused(code, gateway.blur.DeleteOrder, pb.DeleteOrderRequest(order_id=order_id))


def test_pages_of_images(gateway: Gateway) -> None:
    stream = parts(*((f"{n}.jpg", [b"x"]) for n in range(5)))
    order_id = gateway.blur.StreamBlurOrder(stream).order.order_id
    names, token = [], ""
    for _ in range(3):
        page = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id, page_size=2, page_token=token))
        names += [image.filename for image in page.images]
        token = page.next_page_token
    assert (names, token) == ([f"{n}.jpg" for n in range(5)], "")
    bad = pb.ListImagesRequest(order_id=order_id, page_token="!")
    assert set(fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.ListImages, bad))) == {"page_token"}
    bad = pb.ListImagesRequest(order_id=order_id, page_size=-1)
    assert set(fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.ListImages, bad))) == {"page_size"}


def test_cancel_and_delete(gateway: Gateway, database: Database) -> None:
    order_id = order(gateway).order_id
    watch = gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id))
    assert next(watch).order.state == order_pb2.ORDER_STATE_QUEUED
    cancelled = gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order
    assert cancelled.state == order_pb2.ORDER_STATE_CANCELLED
    (last,) = watch
    assert (last.order.state, len(last.changed_images)) == (order_pb2.ORDER_STATE_CANCELLED, 2)
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=order_id))
    refused(grpc.StatusCode.NOT_FOUND, gateway.blur.DeleteOrder, pb.DeleteOrderRequest(order_id=order_id))
    assert_nothing_left(gateway, database)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Email)) == 0


def test_a_watcher_goes_on_from_its_revision(gateway: Gateway) -> None:
    order_id = order(gateway).order_id
    first = next(gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id)))
    again = gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id, after_revision=first.order.revision))
    assert (len(first.changed_images), len(next(again).changed_images)) == (2, 0)


def test_limits(gateway: Gateway) -> None:
    limits = gateway.blur.GetLimits(pb.GetLimitsRequest())
    assert (limits.max_images, limits.max_image_bytes, limits.retention.seconds) == (5, 600_000, 7 * 86_400)
    assert len(limits.formats) == 7
    assert (limits.max_frames, limits.max_pages, limits.max_segments, limits.max_scans) == (3_000, 1_000, 50_000, 100)
    assert set(limits.input_formats) - set(limits.formats) == {order_pb2.IMAGE_FORMAT_HEIF}
