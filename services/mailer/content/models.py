"""What e-mails say, before it is put into words. Nothing in here was written by users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from services.common.domain.errors import Reason
from services.mailer.content.markup import Block

MAX_LISTED_FAILURES = 100


@dataclass(frozen=True)
class FailedImage:
    """An image that was not blurred; `message` is the worker's sentence, in English."""

    position: int
    reason: Reason
    message: str


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a result inside the e-mail; sizes in pixels as shown."""

    position: int
    cid: str
    """Its Content-ID, without brackets."""
    width: int
    height: int
    data: bytes
    """A JPEG file."""


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
    """0: too large for e-mails, or nothing to attach."""
    first: int
    last: int
    """Positions of the first and the last image in this part."""
    order_url: str | None = None
    """The page of the order."""
    archive_url: str | None = None
    """Where results that are too large to attach are fetched."""
    thumbnails: Sequence[Thumbnail] = ()


@dataclass(frozen=True)
class Confirm:
    """Asks a subscriber to confirm."""

    template: ClassVar = "confirm_subscription"

    token: str
    url: str | None


@dataclass(frozen=True)
class Goodbye:
    """Tells a subscriber that nothing more comes."""

    template: ClassVar = "goodbye"

    home_url: str | None


@dataclass(frozen=True)
class Weekly:
    """What the service did in a week."""

    template: ClassVar = "weekly_mailing"

    orders: int
    images: int
    failed: int
    begin: datetime
    end: datetime
    token: str
    url: str | None
    """To unsubscribe."""
    home_url: str | None = None
    title: str | None = None
    """The operator's subject."""
    text: tuple[Block, ...] = ()
    """The operator's own."""


@dataclass(frozen=True)
class Check:
    """Tells an operator that e-mails arrive."""

    template: ClassVar = "check"


Content = OrderReady | Confirm | Goodbye | Weekly | Check


@dataclass(frozen=True)
class File:
    """A result to attach: its name in the archive and its blob; its size in bytes and its SHA-256 as hex."""

    name: str
    key: str
    size: int
    digest: str


@dataclass(frozen=True)
class Preview:
    """A result that a thumbnail can be made of."""

    position: int
    key: str


@dataclass(frozen=True)
class Draft:
    """An e-mail that is to be written. `parts`: e-mails that its delivery takes."""

    to: str
    locale: str
    content: Content
    files: Sequence[File] = ()
    receipt: Sequence[tuple[str, bytes]] = ()
    """Files about the results, names and bytes, that follow them in the archive."""
    ordered_at: datetime | None = None
    previews: Sequence[Preview] = ()
    parts: int = 1
