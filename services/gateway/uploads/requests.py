"""Parses the requests that create uploads; errors name the field."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from imageblur.v1 import blur_service_pb2 as pb

from services.common.domain.errors import InvalidArgument, Violation
from services.gateway.orders.messages.byte_limits import check_image_bytes, check_order_bytes
from services.gateway.orders.messages.requests import ParsedHeader, ParsedImage, parse_header, parse_image_start
from services.gateway.rpc.fields import Violations
from services.gateway.settings import GatewaySettings


@dataclass(frozen=True, kw_only=True)
class ParsedUpload:
    """An order of which bytes are to be uploaded."""

    header: ParsedHeader
    images: Sequence[ParsedImage]
    manifest: bytes
    """The request, as it is stored."""

    @property
    def size(self) -> int:
        """Size of all images, in bytes."""
        return sum(image.size or 0 for image in self.images)

    @property
    def fingerprint(self) -> str:
        """Hash of the request, to compare repeated requests."""
        return hashlib.sha256(self.manifest).hexdigest()


def parse_upload(request: pb.CreateUploadRequest, settings: GatewaySettings) -> ParsedUpload:
    """Return an order of which bytes are to be uploaded.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    # Checked first: millions of empty images fit into a message.
    if len(request.images) > settings.largest_order:
        raise InvalidArgument(Violation("images", f"are more than {settings.largest_order}"))
    violations = Violations()
    header: ParsedHeader | None = None
    with violations.collect():
        header = parse_header(request.order, "order", max_originals_seconds=settings.max_originals_seconds)
    images = []
    for index, start in enumerate(request.images):
        field = f"images[{index}]"
        with violations.collect():
            images.append(parse_image_start(start, field))
        with violations.collect():
            _check_size(start, field, settings.max_image_bytes)
    if not request.images:
        violations.add("images", "must be at least one")
    with violations.collect():
        check_order_bytes(sum(start.size_bytes for start in request.images), settings.max_order_bytes)
    violations.raise_if_any()
    assert header is not None
    return ParsedUpload(header=header, images=images, manifest=request.SerializeToString(deterministic=True))


def _check_size(start: pb.ImageStart, field: str, max_bytes: int) -> None:
    if start.HasField("source"):
        message = "is not possible in an upload: use BlurOrder or StreamBlurOrder"
        raise InvalidArgument(Violation(f"{field}.source", message))
    if not start.HasField("size_bytes"):
        raise InvalidArgument(Violation(f"{field}.size_bytes", "is required"))
    if start.size_bytes <= 0:
        raise InvalidArgument(Violation(f"{field}.data", "is empty"))
    check_image_bytes(start.size_bytes, max_bytes, f"{field}.data")


def read_manifest(manifest: bytes, settings: GatewaySettings) -> ParsedUpload:
    """Return a stored request.

    Raises:
        InvalidArgument: It is over a limit that was lowered meanwhile.
    """
    return parse_upload(pb.CreateUploadRequest.FromString(manifest), settings)
