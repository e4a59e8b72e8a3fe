"""Parses the requests that create uploads; errors name the field."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from imageblur.v1 import blur_service_pb2 as pb

from services.common.domain.errors import InvalidArgument, Violation
from services.gateway.orders.requests import ParsedHeader, ParsedImage, parse_header, parse_image_start
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
    try:
        header = parse_header(request.order, "order", max_originals_seconds=settings.max_originals_seconds)
    except InvalidArgument as error:
        violations.extend(error.violations)
    images = []
    for index, start in enumerate(request.images):
        field = f"images[{index}]"
        try:
            images.append(parse_image_start(start, field))
        except InvalidArgument as error:
            violations.extend(error.violations)
        _check_size(start, field, violations, settings.max_image_bytes)
    if not request.images:
        violations.add("images", "must be at least one")
    if sum(start.size_bytes for start in request.images) > settings.max_order_bytes:
        violations.add("images", f"are larger than {settings.max_order_bytes} bytes together")
    violations.raise_if_any()
    assert header
    return ParsedUpload(header=header, images=images, manifest=request.SerializeToString(deterministic=True))


def _check_size(start: pb.ImageStart, field: str, violations: Violations, max_bytes: int) -> None:
    if start.HasField("source"):
        violations.add(f"{field}.source", "is not possible in an upload: use BlurOrder or StreamBlurOrder")
    elif not start.HasField("size_bytes"):
        violations.add(f"{field}.size_bytes", "is required")
    elif start.size_bytes <= 0:
        violations.add(f"{field}.data", "is empty")
    elif start.size_bytes > max_bytes:
        violations.add(f"{field}.data", f"is larger than {max_bytes} bytes")


def read_manifest(manifest: bytes, settings: GatewaySettings) -> ParsedUpload:
    """Return a stored request.

    Raises:
        InvalidArgument: It is over a limit that was lowered meanwhile.
    """
    return parse_upload(pb.CreateUploadRequest.FromString(manifest), settings)
