"""Parses the requests of BlurService; errors name the field."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.addresses import BadUrl, parse_url
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.orders import ImageState
from services.common.domain.places import BadKey, PlaceKey, check_key, parse_prefix
from services.common.domain.sources import ImageSource
from services.common.domain.spec import BlurSpec
from services.gateway.orders.messages.blur_spec import parse_image_spec, parse_spec
from services.gateway.rpc.fields import Violations, parse_email, parse_locale, parse_request_id

MAX_FILENAME = 255
MAX_LISTINGS = 10
MAX_PATTERN = 255
MAX_STARS = 8
"""In a pattern: a match takes time by their number."""
SMALL_ORDER = 100
"""Images, and regions, of an order that need no thread to be parsed."""


@dataclass(frozen=True, kw_only=True)
class ParsedHeader:
    """The header of an order."""

    email: str | None
    """None: nothing is e-mailed unless somebody asks for it later, with an address."""
    spec: BlurSpec
    request_id: UUID | None
    locale: str
    notify: bool
    validate_only: bool
    originals_seconds: int = 0
    """How long originals are kept after the order has finished; 0: not."""
    webhook_url: str = ""
    """Where events are posted; empty: nowhere. Its form is checked, not whether it may be used."""
    target: "ParsedTarget | None" = None
    """Where results are written; None: nowhere. Likewise."""


@dataclass(frozen=True, kw_only=True)
class ParsedImage:
    """What describes an image before its bytes."""

    field: str
    """Path of the image in the request, for errors."""
    filename: str
    spec: BlurSpec | None
    size: int | None = None
    """In bytes; None if the client did not send it."""
    sha256: bytes | None = None
    source: ImageSource | None = None
    """Where its bytes come from; None: they are sent."""


@dataclass(frozen=True, kw_only=True)
class ParsedTarget:
    """Where results are written."""

    place: str
    folder: str
    """Empty, or with `/` at its end."""


@dataclass(frozen=True, kw_only=True)
class ParsedListing:
    """A listing of a place."""

    field: str
    place: str
    folder: str
    """Empty, or with `/` at its end."""
    pattern: str


@dataclass(frozen=True, kw_only=True)
class ParsedOrder:
    """An order in one message."""

    header: ParsedHeader
    images: list[tuple[ParsedImage, bytes]]
    """With their bytes, which are empty if an image has a source."""
    listings: Sequence[ParsedListing]


def parse_header(header: pb.OrderHeader, field: str, *, max_originals_seconds: int) -> ParsedHeader:
    """Return the header of an order; `field` is its path in the request.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    violations = Violations()
    email, spec, request_id = None, BlurSpec(), None
    with violations.collect(field):
        email = parse_order_email(header)
    with violations.collect(field):
        request_id = parse_request_id(header.request_id)
    if header.HasField("spec"):
        with violations.collect(f"{field}.spec"):
            spec = parse_spec(header.spec)
    originals_seconds = header.keep_originals_for.seconds
    if not (0 <= originals_seconds <= max_originals_seconds and header.keep_originals_for.nanos >= 0):
        violations.add(f"{field}.keep_originals_for", f"must be 0 to {max_originals_seconds} seconds")
    if header.webhook_url:
        try:
            parse_url(header.webhook_url)
        except BadUrl as error:
            violations.add(f"{field}.webhook_url", str(error))
    target: ParsedTarget | None = None
    if header.HasField("target"):
        with violations.collect(f"{field}.target"):
            folder = _parse_folder(header.target.prefix)
            target = ParsedTarget(place=header.target.place, folder=folder)
    violations.raise_if_any()
    return ParsedHeader(
        email=email,
        spec=spec,
        request_id=request_id,
        locale=parse_locale(header.locale),
        notify=header.notify,
        validate_only=header.validate_only,
        originals_seconds=originals_seconds,
        webhook_url=header.webhook_url,
        target=target,
    )


def parse_order_email(header: pb.OrderHeader) -> str | None:
    """Return the address of an order, if it has one.

    Raises:
        InvalidArgument: It is no address, or results are to be e-mailed and there is none.
    """
    if header.email:
        return parse_email(header.email)[0]
    if header.notify:
        raise InvalidArgument(Violation("email", "is required with notify: give an address to e-mail the results to"))
    return None


def is_small(request: pb.BlurOrderRequest) -> bool:
    """Return whether an order in one message is parsed within about a millisecond."""
    if len(request.images) > SMALL_ORDER:
        return False
    specs = [request.order.spec, *(image.spec for image in request.images)]
    return sum(len(spec.regions) + len(spec.exclude_regions) for spec in specs) <= SMALL_ORDER


def parse_order(request: pb.BlurOrderRequest, *, max_images: int, max_originals_seconds: int) -> ParsedOrder:
    """Return an order in one message.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    # Checked first: millions of empty images fit into a message.
    if len(request.images) > max_images:
        raise InvalidArgument(Violation("images", f"are more than {max_images}"))
    violations = Violations()
    header: ParsedHeader | None = None
    try:
        header = parse_header(request.order, "order", max_originals_seconds=max_originals_seconds)
    except InvalidArgument as error:
        violations.extend(error.violations)
    images = []
    for index, image in enumerate(request.images):
        field = f"images[{index}]"
        with violations.collect(field):
            filename, spec = parse_filename(image.filename), parse_image_spec(image)
            source = parse_source(image.source) if image.HasField("source") else None
            parsed = ParsedImage(field=field, filename=_name(filename, source), spec=spec, source=source)
            images.append((parsed, image.data))
        if image.HasField("source"):
            if image.data:
                violations.add(f"{field}.data", "must not be sent with a source")
        elif not image.data:
            violations.add(f"{field}.data", "is empty")
    listings: Sequence[ParsedListing] = ()
    try:
        listings = parse_listings(request.listings, "listings")
    except InvalidArgument as error:
        violations.extend(error.violations)
    if not request.images and not request.listings:
        violations.add("images", "must be at least one")
    violations.raise_if_any()
    assert header
    return ParsedOrder(header=header, images=images, listings=listings)


def parse_source(source: pb.Source) -> ImageSource:
    """Return where an image comes from; whether it may be used is another question.

    Raises:
        InvalidArgument: It is malformed.
    """
    match source.WhichOneof("origin"):
        case "url":
            try:
                parse_url(source.url)
            except BadUrl as error:
                raise InvalidArgument(Violation("source.url", str(error))) from None
            return ImageSource(url=source.url)
        case "file":
            try:
                check_key(source.file.key)
            except BadKey as error:
                raise InvalidArgument(Violation("source.file.key", str(error))) from None
            return ImageSource(file=PlaceKey(place=source.file.place, key=source.file.key))
        case _:
            raise InvalidArgument(Violation("source", "must be a url or a file"))


def parse_listings(listings: Sequence[pb.SourceListing], field: str) -> list[ParsedListing]:
    """Return listings of places; `field` is their path in the request.

    Raises:
        InvalidArgument: With a violation for each invalid one.
    """
    violations = Violations()
    if len(listings) > MAX_LISTINGS:
        violations.add(field, f"are more than {MAX_LISTINGS}")
    parsed = []
    for index, listing in enumerate(listings[:MAX_LISTINGS]):
        path = f"{field}[{index}]"
        with violations.collect(path):
            folder = _parse_folder(listing.prefix)
            if len(listing.pattern) > MAX_PATTERN or listing.pattern.count("*") > MAX_STARS:
                message = f"is longer than {MAX_PATTERN} characters, or has more than {MAX_STARS} stars"
                raise InvalidArgument(Violation("pattern", message))
            parsed.append(ParsedListing(field=path, place=listing.place, folder=folder, pattern=listing.pattern))
    violations.raise_if_any()
    return parsed


def _parse_folder(prefix: str) -> str:
    try:
        return parse_prefix(prefix)
    except BadKey as error:
        raise InvalidArgument(Violation("prefix", str(error))) from None


def _name(filename: str, source: ImageSource | None) -> str:
    return filename or (source.filename if source else "")


def parse_image_start(start: pb.ImageStart, field: str) -> ParsedImage:
    """Return the start of a streamed image; `field` is its path for errors.

    Raises:
        InvalidArgument: With a violation for the first invalid field.
    """
    violations = Violations()
    filename, spec = "", None
    with violations.collect(field):
        filename, spec = parse_filename(start.filename), parse_image_spec(start)
    size = start.size_bytes if start.HasField("size_bytes") else None
    sha256 = start.sha256 if start.HasField("sha256") else None
    source: ImageSource | None = None
    if start.HasField("source"):
        with violations.collect(field):
            source = replace(parse_source(start.source), size=size, sha256=sha256.hex() if sha256 else None)
    violations.raise_if_any()
    return ParsedImage(
        field=field, filename=_name(filename, source), spec=spec, size=size, sha256=sha256, source=source
    )


def parse_filename(text: str, field: str = "filename") -> str:
    """Return a file name, which is used as a label only."""
    if len(text) > MAX_FILENAME:
        raise InvalidArgument(Violation(field, f"is longer than {MAX_FILENAME} characters"))
    # PostgreSQL cannot store NUL in text.
    return text.replace("\0", "")


def parse_image_state(value: order_pb2.ImageState.ValueType) -> ImageState | None:
    """Return the state to filter images by; None for any state."""
    if value == order_pb2.IMAGE_STATE_UNSPECIFIED:
        return None
    try:
        return ImageState(order_pb2.ImageState.Name(value).removeprefix("IMAGE_STATE_"))
    except ValueError:
        raise InvalidArgument(Violation("state", f"{value} is not a state")) from None
