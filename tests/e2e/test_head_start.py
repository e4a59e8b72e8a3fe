"""Images are blurred while their order is uploaded, and only who commits it gets the results."""

import contextlib
import os
import time
from collections.abc import Iterator

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from services.gateway.orders.placement.order_upload import SLOW_SECONDS
from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.test_metrics import value
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one child process: none is spare")
PHOTOGRAPH = (PHOTOGRAPHS / "rocket.jpg").read_bytes()
HEADER = pb.OrderHeader(email="ann@example.org")


@pytest.fixture
def service(stack: BackgroundStack) -> Iterator[BlurServiceStub]:
    with grpc.insecure_channel(stack.gateway_address) as channel:
        yield BlurServiceStub(channel)


def count(outcome: str) -> float:
    return value("blur_worker", "imageblur_head_starts_total", outcome=outcome)


class NotPreparedError(Exception):
    """The worker was busy, or just started, or the image arrived too fast: there may be no head start."""


def wait_prepared(before: float) -> None:
    """Wait until more images are prepared than before. Raises: NotPreparedError."""
    try:
        eventually(lambda: count("prepared") > before, within=10)
    except AssertionError as error:
        raise NotPreparedError from error


def stream(service: BlurServiceStub, last: bytes = PHOTOGRAPH) -> pb.StreamBlurOrderResponse:
    """Stream an order of which an image is prepared meanwhile; again until it is. Raises: grpc.RpcError."""
    for _ in range(20):
        try:
            return service.StreamBlurOrder(streamed(last))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNKNOWN:  # that is what an exception in `streamed` comes to
                raise
    raise NotPreparedError


def streamed(last: bytes) -> Iterator[pb.StreamBlurOrderRequest]:
    """An order of two images, of which the second comes when the first is prepared. Raises: NotPreparedError."""
    before = count("prepared")
    yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=2))
    yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg", size_bytes=len(PHOTOGRAPH)))
    yield pb.StreamBlurOrderRequest(chunk=PHOTOGRAPH)
    time.sleep(2 * SLOW_SECONDS)  # a slow line
    yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="b.jpg", size_bytes=len(PHOTOGRAPH)))
    wait_prepared(before)
    yield pb.StreamBlurOrderRequest(chunk=last)


def upload(service: BlurServiceStub) -> str:
    """Upload an order's image in two parts until it is prepared; return the upload's ID. Raises: NotPreparedError."""
    image, half = pb.ImageStart(filename="a.jpg", size_bytes=len(PHOTOGRAPH)), len(PHOTOGRAPH) // 2
    for _ in range(20):
        before = count("prepared")
        upload_id = service.CreateUpload(pb.CreateUploadRequest(order=HEADER, images=[image])).upload.upload_id
        for offset, chunk in ((0, PHOTOGRAPH[:half]), (half, PHOTOGRAPH[half:])):
            start = pb.AppendUploadRequest(start=pb.AppendStart(upload_id=upload_id, offset=offset))
            service.AppendUpload(iter([start, pb.AppendUploadRequest(chunk=chunk)]))
        with contextlib.suppress(NotPreparedError):
            wait_prepared(before)
            return upload_id
    raise NotPreparedError


def assert_used(service: BlurServiceStub, client: Client, order_id: str, before: float) -> None:
    """Wait for an order's end; the results are what a child process makes otherwise."""
    list(client.watch(order_id))
    eventually(lambda: count("used") > before)
    usual = service.BlurImage(pb.BlurImageRequest(image=pb.InputImage(filename="a.jpg", data=PHOTOGRAPH)))
    images = list(client.images(order_id))
    for image in images:
        wanted = pb.DownloadImagesRequest(order_id=order_id, image_ids=[image.image_id])
        assert b"".join(part.chunk for part in service.DownloadImages(wanted)) == usual.data
    assert images


def test_a_streamed_order_gets_what_was_blurred_before_its_end(service: BlurServiceStub, client: Client) -> None:
    before = count("used")
    assert_used(service, client, stream(service).order.order_id, before)


def test_a_resumed_upload_gets_what_was_blurred_before_its_end(service: BlurServiceStub, client: Client) -> None:
    used = count("used")
    order = service.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload(service))).order
    assert_used(service, client, order.order_id, used)


def test_of_a_stream_that_breaks_nothing_is_left(service: BlurServiceStub) -> None:
    discarded = count("discarded")
    with pytest.raises(grpc.RpcError) as caught:
        stream(service, b"too few bytes")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    eventually(lambda: count("discarded") > discarded)
