"""What letters say, before it is put into words. Nothing in here was written by users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from services.common.errors import Reason

MAX_LISTED_FAILURES = 100


@dataclass(frozen=True)
class FailedImage:
    """An image that was not blurred; `message` is the worker's sentence, in English."""

    position: int
    reason: Reason
    message: str


@dataclass(frozen=True)
class OrderReady:
    """An order's results, or how to get them."""

    template: ClassVar = "order_ready"

    order_id: str
    total: int
    succeeded: int
    failures: Sequence[FailedImage]
    unlisted_failures: int
    expires_at: datetime
    part: int
    parts: int
    """0: too large for letters, or nothing to attach."""
    first: int
    last: int
    """Positions of the first and the last image in this part."""


@dataclass(frozen=True)
class Confirm:
    """Asks a subscriber to confirm."""

    template: ClassVar = "confirm"

    token: str
    url: str | None


@dataclass(frozen=True)
class Weekly:
    """What the service did in a week."""

    template: ClassVar = "weekly"

    orders: int
    images: int
    failed: int
    begin: datetime
    end: datetime
    token: str
    url: str | None
    """To unsubscribe."""


Content = OrderReady | Confirm | Weekly


@dataclass(frozen=True)
class File:
    """A result to attach: its name in the archive and its blob."""

    name: str
    key: str


@dataclass(frozen=True)
class Draft:
    """A letter that is to be written. `parts`: letters that its delivery takes."""

    to: str
    locale: str
    content: Content
    files: Sequence[File] = ()
    parts: int = 1
