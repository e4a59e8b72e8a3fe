"""The rules of orders: states and what follows from what. Nothing here knows of databases, brokers or gRPC."""

from enum import StrEnum

from services.common.domain.errors import Reason

MAX_ATTEMPTS = 10
"""Claims of an image before it is given up, whatever ended them: killed workers are not the image's fault."""
MAX_EMAIL_ATTEMPTS = 20
"""About five hours: a mail server that is down for maintenance, or that makes strangers wait (greylisting)."""
MAX_CRASHES = 3
"""Deaths of the child that worked on an image before the image is held responsible."""

RETRIABLE = frozenset({Reason.TIMED_OUT, Reason.CRASHED, Reason.INTERNAL})
"""Why an image failed that may be blurred another time: under less load, with more memory, by a mended version.

Its original is kept for that until the order expires, or an operator drops the failure. Other reasons lie in the file.
"""

LATE_SECONDS = 600
"""When no worker is left that had an image when the image ended otherwise; an attempt takes 500 seconds at most."""


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
        """Whether images of the order may still end."""
        return self in {OrderState.QUEUED, OrderState.RUNNING}


class ImageState(StrEnum):
    """States of an image; see the interface's ImageState."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


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


def state_when_done(*, succeeded: int, failed: int, cancelled: int) -> OrderState:
    """State of an order whose images have all ended, by how many ended how."""
    if cancelled:
        return OrderState.CANCELLED
    if not failed:
        return OrderState.SUCCEEDED
    return OrderState.PARTIALLY_FAILED if succeeded else OrderState.FAILED


def fair_window(window: int, orders: int) -> int:
    """How many images of an order may be in the queue or at work, with so many orders (≥ 1) that have some there.

    Alone, an order has the whole window, so that no child waits for work; together, orders share it, and take turns.
    """
    return max(1, -(-window // orders))


def retry_delay(attempts: int) -> float:
    """Seconds to wait before the next attempt after `attempts` (≥ 1) have failed: 1, 2, 4, … at most 60."""
    return float(min(60, 2 ** (attempts - 1)))


def source_key(order_id: object, position: int) -> str:
    """Blob key of an original; positions count from 1."""
    return f"{blob_prefix(order_id)}source/{position:06d}"


def result_key(order_id: object, position: int) -> str:
    """Blob key of a result: the same however often the image is worked on, so that a repeat only writes it again."""
    return f"{blob_prefix(order_id)}result/{position:06d}"


def blob_prefix(order_id: object) -> str:
    """Prefix of all blob keys of an order."""
    return f"orders/{order_id}/"
