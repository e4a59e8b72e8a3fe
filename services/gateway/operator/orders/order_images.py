"""The images of an order as operators see them."""

from imageblur.v1 import operator_pb2, order_pb2

from services.common.db.models import Image
from services.common.domain.errors import Reason
from services.common.domain.failures import cause_of
from services.common.domain.findings import Inspection
from services.common.domain.orders import ImageState
from services.common.domain.retries import RETRYABLE
from services.common.domain.spec import FORMATS_BY_EXTENSION, OTHER_EXTENSIONS, Format
from services.gateway.rpc.timestamps import duration, timestamp


def order_image(image: Image, *, created_at: int, now: int, with_name: bool) -> operator_pb2.OrderImage:
    """Return an image of an order that was accepted at `created_at`; times in microseconds since 1970."""
    failed = image.state == ImageState.FAILED
    inspection = Inspection.from_json(image.findings) if image.findings else None
    message = operator_pb2.OrderImage(
        image_id=str(image.id),
        position=image.position,
        filename=image.filename if with_name else "",
        file_kind=file_kind(image),
        state=order_pb2.ImageState.Value(f"IMAGE_STATE_{image.state}"),
        queue=image.queue,
        worker=image.worker or "",
        attempts=image.attempts,
        crashes=image.crashes,
        start_time=timestamp(image.started_at),
        finish_time=timestamp(image.finished_at),
        input_bytes=image.input_bytes,
        output_bytes=image.output_bytes,
        width=image.width,
        height=image.height,
        findings=len(inspection.findings) if inspection else 0,
        hidden=inspection.hidden if inspection else 0,
        check=order_pb2.CheckState.Value(f"CHECK_STATE_{inspection.check.state if inspection else 'UNSPECIFIED'}"),
    )
    # An image that is cancelled in the queue has no start.
    started_at = image.started_at or image.finished_at or now
    message.wait.CopyFrom(duration(max(0, started_at - created_at)))
    if image.started_at is not None:
        message.work.CopyFrom(duration(max(0, (image.finished_at or now) - image.started_at)))
    if image.reason is not None:
        reason = Reason(image.reason)
        message.failure.reason = order_pb2.FailureReason.Value(f"FAILURE_REASON_{reason}")
        message.failure.message = image.message or ""
        message.cause = operator_pb2.FailureCause.Value(f"FAILURE_CAUSE_{cause_of(reason)}")
        message.retryable = failed and reason in RETRYABLE and not image.dismissed
    return message


def file_kind(image: Image) -> str:
    """Return the kind of an image's file: of its result, or by the extension of its name.

    Empty for an extension of no format: it may be a part of the name, and so personal data.
    """
    if image.format:
        return Format(image.format).label
    extension = image.filename.rpartition(".")[2].lower()
    known = FORMATS_BY_EXTENSION.get(extension)
    return known.label if known else OTHER_EXTENSIONS.get(extension, "")
