"""The rules of orders: states and transitions, shares of the window, keys of blobs."""

from enum import StrEnum

from services.common.domain.spec import BlurSpec

LATE_SECONDS = 600
"""After so long no worker is left that had an image when the image ended otherwise: an attempt takes at most 500."""


class OrderState(StrEnum):
    """States of an order; see the interface's OrderState."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    PARTIALLY_FAILED = "PARTIALLY_FAILED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def open(self) -> bool:
        """Whether images of the order have not ended."""
        return self in {OrderState.QUEUED, OrderState.RUNNING}


class ImageState(StrEnum):
    """States of an image; see the interface's ImageState."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ImageQueue(StrEnum):
    """The queues of images: finding takes a hundred times as long as blurring, and may have machines of its own."""

    BLUR = "blur"
    FIND = "find"
    """Images with something to find."""
    FETCH = "fetch"
    """Images whose originals come from a source: once fetched, they go to one of the others."""


class UploadState(StrEnum):
    """States of an upload that can be resumed."""

    RECEIVING = "RECEIVING"
    """Bytes are missing, or it was not completed yet."""
    PLACED = "PLACED"
    """Its order is stored. What only the upload needed is being removed, and then this row."""


def queue_for(spec: BlurSpec) -> ImageQueue:
    """Return the queue of images with this spec."""
    return ImageQueue.FIND if spec.find else ImageQueue.BLUR


class DeliveryState(StrEnum):
    """States of a request for the results by mail; see the interface's DeliveryState."""

    WAITING = "WAITING"
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def open(self) -> bool:
        """Whether e-mails of the delivery may still be sent."""
        return self in {DeliveryState.WAITING, DeliveryState.QUEUED, DeliveryState.SENDING}


class UnownedBlobsState(StrEnum):
    """States of blobs that no order owns."""

    UPLOADING = "UPLOADING"
    """An upload is running, as long as its heartbeat lasts."""
    REMOVING = "REMOVING"
    """To be removed: the upload failed, or its order is gone. No order can own them any more."""
    REMOVED = "REMOVED"
    """Removed once; removed again later, in case a worker stored a result meanwhile."""


def state_when_done(*, succeeded: int, failed: int, cancelled: int) -> OrderState:
    """Return the state of an order whose images have all ended, by how many ended how."""
    if cancelled:
        return OrderState.CANCELLED
    if not failed:
        return OrderState.SUCCEEDED
    return OrderState.PARTIALLY_FAILED if succeeded else OrderState.FAILED


def fair_window(window: int, orders: int) -> int:
    """Return how many images of an order may be queued or running while so many orders (≥ 1) have some there.

    Alone, an order has the whole window, so that no child process waits for work; together, orders share it equally.
    """
    return max(1, -(-window // orders))


def original_key(order_id: object, position: int) -> str:
    """Return the blob key of an original; positions count from 1."""
    return f"{original_prefix(order_id)}{position:06d}"


def result_key(order_id: object, position: int, generation: int = 0) -> str:
    """Return the blob key of a result: the same for every attempt, so that a repeated one overwrites it.

    Each revision of an image has a `generation` of its own, so that the former result stays until the row names
    the new one.
    """
    key = f"{blob_prefix(order_id)}result/{position:06d}"
    return f"{key}-{generation}" if generation else key


def upload_prefix(upload_id: object) -> str:
    """Return the prefix of the blob keys that only an unfinished upload needs; its order will have the same ID."""
    return f"{blob_prefix(upload_id)}upload/"


def manifest_key(upload_id: object) -> str:
    """Return the blob key of the request that created an upload."""
    return f"{upload_prefix(upload_id)}manifest"


def part_key(upload_id: object, position: int, start: int, owner: str) -> str:
    """Return the blob key of a part of an original whose upload is in progress.

    Args:
        upload_id: ID of the upload.
        position: Position of the image, from 1.
        start: Offset of the part in the image, in bytes.
        owner: Token of the call that received it: a call that was superseded must not overwrite its successor's part.
    """
    return f"{upload_prefix(upload_id)}{position:06d}-{start:012d}-{owner}"


def original_prefix(order_id: object) -> str:
    """Return the prefix of the blob keys of an order's originals."""
    return f"{blob_prefix(order_id)}source/"


def blob_prefix(order_id: object) -> str:
    """Return the prefix of all blob keys of an order."""
    return f"orders/{order_id}/"
