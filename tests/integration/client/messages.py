"""Answers that a gateway may give."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from imageblur.v1.blur_service_pb2 import (
    DownloadImagesResponse,
    FileStart,
    StatusResponse,
    StreamBlurOrderResponse,
    WatchStatusResponse,
)
from imageblur.v1.order_pb2 import (
    Counts,
    Delivery,
    DeliveryState,
    Failure,
    FailureReason,
    Image,
    ImageState,
    Order,
    OrderState,
)

ORDER_ID = "0b6cbd3c-7c3c-4fd2-a7b2-5d0f0d8a1f11"
QUEUED = OrderState.ORDER_STATE_QUEUED
RUNNING = OrderState.ORDER_STATE_RUNNING
SUCCEEDED = OrderState.ORDER_STATE_SUCCEEDED
PARTIALLY_FAILED = OrderState.ORDER_STATE_PARTIALLY_FAILED


def order(
    state: OrderState.ValueType = QUEUED,
    *,
    revision: int = 1,
    succeeded: int = 0,
    failed: int = 0,
    total: int = 2,
    mail: DeliveryState.ValueType | None = None,
) -> Order:
    counts = Counts(total=total, succeeded=succeeded, failed=failed, queued=total - succeeded - failed)
    deliveries = [] if mail is None else [Delivery(delivery_id="d", state=mail)]
    return Order(
        order_id=ORDER_ID,
        state=state,
        counts=counts,
        revision=revision,
        deliveries=deliveries,
        email_hint="a***@example.org",
    )


def accepted() -> StreamBlurOrderResponse:
    return StreamBlurOrderResponse(order=order())


def stands(of: Order) -> StatusResponse:
    return StatusResponse(order=of)


def change(of: Order, *images: Image) -> WatchStatusResponse:
    return WatchStatusResponse(order=of, changed_images=images)


def image(position: int, filename: str, *, failed: str = "") -> Image:
    if failed:
        reason = Failure(reason=FailureReason.FAILURE_REASON_CORRUPT, message=failed)
        state = ImageState.IMAGE_STATE_FAILED
        return Image(image_id=f"i{position}", position=position, filename=filename, state=state, failure=reason)
    return Image(
        image_id=f"i{position}",
        position=position,
        filename=filename,
        state=ImageState.IMAGE_STATE_SUCCEEDED,
        width=640,
        height=480,
        output_bytes=52_000,
    )


def file(name: str, content: bytes, *, sha256: bytes | None = None) -> list[DownloadImagesResponse]:
    digest = hashlib.sha256(content).digest() if sha256 is None else sha256
    start = FileStart(image_id="i", filename=name, size_bytes=len(content), sha256=digest)
    half = len(content) // 2
    return [
        DownloadImagesResponse(file=start),
        *(DownloadImagesResponse(chunk=part) for part in (content[:half], content[half:]) if part),
    ]


class Outcome(Protocol):
    exit_code: int

    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


Run = Callable[..., Outcome]
