"""The content of e-mails before it is rendered. None of it was written by the people who order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from services.common.domain.errors import Reason
from services.mailer.content.newsletter_markup import Block

MAX_LISTED_FAILURES = 100


@dataclass(frozen=True, kw_only=True)
class FailedImage:
    """An image that was not blurred; `message` is the worker's explanation in English."""

    position: int
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What was found in the images in which something was to be found."""

    images: int
    empty: int
    """Images in which nothing was found."""
    hidden: int
    """Findings that were hidden, in all images together."""
    remaining: Sequence[int] = ()
    """Positions of images in which something that was to be hidden is still found."""
    unlisted_remaining: int = 0


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A thumbnail of a result; sizes in pixels as displayed."""

    position: int
    cid: str
    """Its Content-ID, without brackets."""
    width: int
    height: int
    data: bytes
    """A JPEG file."""


@dataclass(frozen=True, kw_only=True)
class OrderReady:
    """An order's results, or how to get them."""

    template: ClassVar = "order_ready"

    order_id: str
    total: int
    succeeded: int
    ordered_at: datetime
    """In the subject, which distinguishes orders: names of files are texts of those who order, and are not for it."""
    failures: Sequence[FailedImage]
    unlisted_failures: int
    expires_at: datetime
    part: int
    parts: int
    """0: nothing is attached, because there are no results or they are too large."""
    first_position: int
    last_position: int
    """Position of the last image in this part; `first_position` is that of the first."""
    searched: Searched | None = None
    """None if nothing was to be found."""
    order_url: str | None = None
    """The page of the order."""
    archive_url: str | None = None
    """Where results that are too large to attach are downloaded."""
    thumbnails: Sequence[Thumbnail] = ()


@dataclass(frozen=True, kw_only=True)
class OrderUnconfirmed:
    """Informs an address that has not confirmed that there are results. Nothing in it was chosen by who ordered."""

    template: ClassVar = "order_unconfirmed"

    order_id: str
    total: int
    succeeded: int
    ordered_at: datetime
    expires_at: datetime
    token: str
    """To receive the results, and those of later orders, by e-mail."""
    url: str | None
    """The same."""
    order_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmSubscription:
    """Asks a subscriber to confirm."""

    template: ClassVar = "confirm_subscription"

    token: str
    url: str | None


@dataclass(frozen=True, kw_only=True)
class Goodbye:
    """Confirms the end of a subscription."""

    template: ClassVar = "goodbye"

    home_url: str | None


@dataclass(frozen=True, kw_only=True)
class Newsletter:
    """What the service did in a week, and the operator's text."""

    template: ClassVar = "newsletter"

    orders: int
    images: int
    failed: int
    begin: datetime
    end: datetime
    token: str = ""
    """To unsubscribe."""
    url: str | None = None
    """To unsubscribe."""
    home_url: str | None = None
    title: str | None = None
    """The subject of the operator's text."""
    text: tuple[Block, ...] = ()
    """The operator's text."""


@dataclass(frozen=True, kw_only=True)
class MailCheck:
    """Sent to an operator who checks the mail server and the settings."""

    template: ClassVar = "mail_check"


Content = OrderReady | OrderUnconfirmed | ConfirmSubscription | Goodbye | Newsletter | MailCheck


@dataclass(frozen=True, kw_only=True)
class AttachedResult:
    """A result to attach: its name in the archive and its blob; its size in bytes, its SHA-256 as hex, its CRC-32."""

    name: str
    key: str
    size: int
    digest: str
    crc32: int | None = None


@dataclass(frozen=True, kw_only=True)
class PreviewedImage:
    """A result of which a thumbnail can be made."""

    position: int
    key: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An e-mail to compose."""

    to: str
    locale: str
    content: Content
    files: Sequence[AttachedResult] = ()
    summary: Sequence[tuple[str, bytes]] = ()
    """Files about the results, by name, that follow them in the archive."""
    ordered_at: datetime | None = None
    previews: Sequence[PreviewedImage] = ()
    parts: int = 1
    """E-mails that its delivery takes."""
