"""PreviewImage: parses the request, and finds the blob to draw. Workers draw: the gateway has no decoders."""

from dataclasses import dataclass
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.engine import Database
from services.common.db.models import has_result
from services.common.db.orders import images, revisions, snapshots
from services.common.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Violation
from services.common.domain.instant import InstantKind, InstantRequest
from services.common.domain.orders import OrderState, original_key, result_key
from services.common.domain.spec import BlurSpec
from services.gateway.rpc.fields import parse_id

DEFAULT_SIDE = 1600
MIN_SIDE, MAX_SIDE = 16, 8192
"""Least and greatest `max_side` of a drawing, in pixels."""


@dataclass(frozen=True, kw_only=True)
class PreviewRequest:
    """What to draw."""

    order_id: UUID
    image_id: UUID
    original: bool
    """Whether to draw the original, instead of the result."""
    max_side: int
    """In pixels."""


def parse_preview(request: pb.PreviewImageRequest) -> PreviewRequest:
    """Return what a request asks for.

    Raises:
        InvalidArgument: With a violation for the first invalid field.
    """
    order_id, image_id = parse_id(request.order_id), parse_id(request.image_id, "image_id")
    if request.source not in pb.PreviewSource.values():
        raise InvalidArgument(Violation("source", f"{request.source} is not a source"))
    side = request.max_side or DEFAULT_SIDE
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise InvalidArgument(Violation("max_side", f"must be {MIN_SIDE} to {MAX_SIDE}"))
    original = request.source != pb.PREVIEW_SOURCE_RESULT
    return PreviewRequest(order_id=order_id, image_id=image_id, original=original, max_side=side)


@dataclass(frozen=True)
class FindPreview:
    """Finds what is to be drawn; blocking."""

    database: Database
    max_result_bytes: int

    def __call__(self, wanted: PreviewRequest) -> InstantRequest:
        """Return the call that draws it.

        Raises:
            NotFound: The order does not exist, or has no such image.
            FailedPrecondition: There is no such file, or no longer.
        """
        with self.database.read() as session:
            snapshot = snapshots.get_snapshot(session, wanted.order_id)
            image = images.get_image(session, wanted.order_id, wanted.image_id)
        if image is None:
            raise NotFound("image", str(wanted.image_id))
        order, subject = snapshot.order, f"images/{wanted.image_id}"
        if order.state == OrderState.EXPIRED:
            raise FailedPrecondition("ORDER_EXPIRED", f"orders/{order.id}", "the order has expired")
        if not wanted.original and not has_result(image):
            message = f"image {wanted.image_id} is {image.state}, not SUCCEEDED"
            raise FailedPrecondition("IMAGE_NOT_SUCCEEDED", subject, message)
        if wanted.original and not revisions.keeps_original(order, image, snapshot.read_at):
            raise FailedPrecondition("ORIGINALS_NOT_KEPT", subject, "its original is not kept, or no longer")
        result = result_key(order.id, image.position, image.generation)
        return InstantRequest(
            kind=InstantKind.FIND,
            spec=BlurSpec(),
            max_result_bytes=self.max_result_bytes,
            blob=original_key(order.id, image.position) if wanted.original else result,
            preview_side=wanted.max_side,
        )
