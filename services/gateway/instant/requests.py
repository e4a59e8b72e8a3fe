"""Parses BlurImage and FindRegions, and makes their responses."""

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.errors import InvalidArgument
from services.common.domain.instant import InstantAnswer, InstantKind, InstantRequest
from services.common.domain.spec import BlurSpec
from services.gateway.orders.messages.blur_spec import parse_image_spec, parse_spec
from services.gateway.orders.messages.byte_limits import check_image_bytes
from services.gateway.orders.messages.findings import finding_message, inspection_messages
from services.gateway.orders.messages.requests import parse_filename
from services.gateway.rpc.fields import Violations

MAX_PREVIEW_SIDE = 2048
"""In pixels: as much as a screen shows."""


def parse_blur_image(request: pb.BlurImageRequest, *, max_bytes: int, max_result_bytes: int) -> InstantRequest:
    """Return what BlurImage asks for.

    Args:
        request: The message.
        max_bytes: Largest image.
        max_result_bytes: Largest result.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    violations = Violations()
    spec: BlurSpec | None = None
    with violations.collect("image"):
        parse_filename(request.image.filename)
    with violations.collect("image"):
        spec = parse_image_spec(request.image)
    if request.image.HasField("source"):
        violations.add("image.source", "is possible in orders only: send the image's data")
    _check_data(violations, "image.data", request.image.data, max_bytes)
    violations.raise_if_any()
    return InstantRequest(
        kind=InstantKind.BLUR, spec=spec or BlurSpec(), max_result_bytes=max_result_bytes, data=request.image.data
    )


def parse_find_regions(request: pb.FindRegionsRequest, *, max_bytes: int, max_preview_bytes: int) -> InstantRequest:
    """Return what FindRegions asks for; without its image, if that is the one of an upload.

    Args:
        request: The message.
        max_bytes: Largest image.
        max_preview_bytes: Largest preview.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    violations = Violations()
    spec = BlurSpec()
    try:
        spec = parse_spec(
            order_pb2.BlurSpec(find=request.find, effort=request.effort, output_format=request.output_format)
        )
    except InvalidArgument as error:
        violations.extend(error.violations)
    else:
        if not spec.find and not request.preview_side:
            violations.add("find", "must be at least one, unless a preview is asked for")
    if not 0 <= request.preview_side <= MAX_PREVIEW_SIDE:
        violations.add("preview_side", f"must be 0 to {MAX_PREVIEW_SIDE}")
    if request.upload_id and request.data:
        violations.add("upload_id", "must be empty if there is data")
    elif not request.upload_id:
        _check_data(violations, "data", request.data, max_bytes)
    violations.raise_if_any()
    return InstantRequest(
        kind=InstantKind.FIND,
        spec=spec,
        max_result_bytes=max_preview_bytes,
        preview_side=request.preview_side,
        data=request.data,
    )


def blur_image_response(answer: InstantAnswer, data: bytes) -> pb.BlurImageResponse:
    """Return the response of BlurImage."""
    findings, check = inspection_messages(answer.inspection)
    return pb.BlurImageResponse(
        data=data,
        media_type=answer.format.media_type if answer.format else "",
        width=answer.width,
        height=answer.height,
        findings=findings,
        check=check,
    )


def find_regions_response(answer: InstantAnswer, preview: bytes) -> pb.FindRegionsResponse:
    """Return the response of FindRegions."""
    return pb.FindRegionsResponse(
        findings=map(finding_message, answer.inspection.findings),
        width=answer.width,
        height=answer.height,
        preview=preview,
        preview_media_type=answer.format.media_type if answer.format else "",
    )


def _check_data(violations: Violations, field: str, data: bytes, max_bytes: int) -> None:
    if not data:
        violations.add(field, "is empty")
    with violations.collect():
        check_image_bytes(len(data), max_bytes, field)
