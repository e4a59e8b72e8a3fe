"""What clients send, checked and turned into our own terms; every field that is wrong is named."""

import base64
import binascii
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.orders import ImageState
from services.common.domain.spec import BlurSpec, Effect, Format, Gaussian, InvalidSpec, Pixelate, Region, Solid

MAX_FILENAME = 255
LOCALES = ("en", "ru")


@dataclass(frozen=True)
class Header:
    """The checked header of an order."""

    email: str
    spec: BlurSpec
    request_id: UUID | None
    locale: str
    notify: bool
    validate_only: bool


class Violations(list[Violation]):
    """What is wrong with a request so far."""

    def add(self, field: str, description: str) -> None:
        """A field is wrong."""
        self.append(Violation(field, description))

    @contextlib.contextmanager
    def below(self, prefix: str) -> Iterator[None]:
        """Collect what is wrong with a part of the request, named from its root."""
        try:
            yield
        except InvalidArgument as error:
            self.extend(Violation(f"{prefix}.{v.field}", v.description) for v in error.violations)

    def check(self) -> None:
        """Raise InvalidArgument if anything is wrong."""
        if self:
            raise InvalidArgument(*self)


def parse_header(header: pb.OrderHeader, field: str) -> Header:
    """The header of an order; `field` is its path in the request.

    Raises:
        InvalidArgument: With a violation for each field that is wrong.
    """
    violations = Violations()
    email, spec, request_id = "", BlurSpec(), None
    with violations.below(field):
        email, _ = parse_email(header.email)
    with violations.below(field):
        request_id = parse_request_id(header.request_id)
    if header.HasField("spec"):
        with violations.below(f"{field}.spec"):
            spec = parse_spec(header.spec)
    violations.check()
    return Header(email, spec, request_id, parse_locale(header.locale), header.notify, header.validate_only)


def parse_email(text: str, field: str = "email") -> tuple[str, str]:
    """An address, normalised, and the key under which equal addresses are the same."""
    if not text:
        raise InvalidArgument(Violation(field, "is required"))
    try:
        # Whether mail can be delivered is for the mail server to find out, and a private network's domains are fine.
        address = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise InvalidArgument(Violation(field, f"is not an e-mail address: {str(error).rstrip('.')}")) from None
    if "." not in address.domain:
        raise InvalidArgument(Violation(field, "is not an e-mail address: the domain has no dot"))
    return address.normalized, address.normalized.casefold()


def parse_id(text: str, field: str = "order_id") -> UUID:
    """An id as handed out."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(Violation(field, "is required" if not text else "is not a UUID")) from None


def parse_request_id(text: str) -> UUID | None:
    """The client's own id of its request, if it sent one."""
    return parse_id(text, "request_id") if text else None


def parse_locale(text: str) -> str:
    """The language that e-mails are written in: what is asked for if there are e-mails in it, else English."""
    language = text.replace("_", "-").partition("-")[0].lower()
    return language if language in LOCALES else LOCALES[0]


def parse_filename(text: str, field: str = "filename") -> str:
    """A file's name as a label."""
    if len(text) > MAX_FILENAME:
        raise InvalidArgument(Violation(field, f"is longer than {MAX_FILENAME} characters"))
    # PostgreSQL cannot store NUL in text.
    return text.replace("\0", "")


def parse_image_spec(image: pb.InputImage | pb.ImageStart) -> BlurSpec | None:
    """How to blur an image that has a spec of its own."""
    if not image.HasField("spec"):
        return None
    violations = Violations()
    with violations.below("spec"):
        return parse_spec(image.spec)
    raise InvalidArgument(*violations)


def parse_spec(spec: order_pb2.BlurSpec) -> BlurSpec:
    """How to blur."""
    try:
        return BlurSpec(
            effect=_effect(spec),
            regions=tuple(_region(region, index) for index, region in enumerate(spec.regions)),
            invert_regions=spec.invert_regions,
            output_format=_format(spec.output_format),
            quality=spec.quality if spec.HasField("quality") else 90,
            keep_metadata=spec.keep_metadata,
        )
    except InvalidSpec as error:
        raise InvalidArgument(Violation(error.path, error.description)) from None


def _effect(spec: order_pb2.BlurSpec) -> Effect:
    match spec.WhichOneof("effect"):
        case "pixelate":
            match spec.pixelate.WhichOneof("cell"):
                case "cell_px":
                    return Pixelate(spec.pixelate.cell_px)
                case "cell_relative":
                    return Pixelate(spec.pixelate.cell_relative, relative=True)
                case _:
                    return Pixelate()
        case "solid":
            return Solid(spec.solid.color.lower()) if spec.solid.color else Solid()
        case _:
            match spec.gaussian.WhichOneof("sigma"):
                case "sigma_px":
                    return Gaussian(spec.gaussian.sigma_px)
                case "sigma_relative":
                    return Gaussian(spec.gaussian.sigma_relative, relative=True)
                case _:
                    return Gaussian()


def _region(region: order_pb2.Region, index: int) -> Region:
    path = f"regions[{index}]"
    match region.WhichOneof("shape"):
        case "box":
            shape, rect = "box", region.box
        case "ellipse":
            shape, rect = "ellipse", region.ellipse
        case _:
            raise InvalidSpec(path, "needs a box or an ellipse")
    try:
        return Region(
            "box" if shape == "box" else "ellipse",
            rect.left,
            rect.top,
            rect.width,
            rect.height,
            region.padding,
            region.feather,
        )
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}.{error.path}", error.description) from None


def _format(value: order_pb2.ImageFormat.ValueType) -> Format | None:
    if value == order_pb2.IMAGE_FORMAT_UNSPECIFIED:
        return None
    try:
        return Format(order_pb2.ImageFormat.Name(value).removeprefix("IMAGE_FORMAT_"))
    except ValueError:
        raise InvalidSpec("output_format", f"{value} is not a format") from None


def parse_image_state(value: order_pb2.ImageState.ValueType) -> ImageState | None:
    """The state to list images of; None: all."""
    if value == order_pb2.IMAGE_STATE_UNSPECIFIED:
        return None
    try:
        return ImageState(order_pb2.ImageState.Name(value).removeprefix("IMAGE_STATE_"))
    except ValueError:
        raise InvalidArgument(Violation("state", f"{value} is not a state")) from None


def page_token(position: int) -> str:
    """A token for the page after the image at `position`."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def parse_page_token(token: str) -> int:
    """The position after which the page begins."""
    try:
        return int(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)) if token else 0
    except (ValueError, binascii.Error):
        raise InvalidArgument(Violation("page_token", "is not one that was handed out")) from None
