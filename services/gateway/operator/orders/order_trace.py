"""The trace of an order: its steps with their durations, from its rows."""

from collections.abc import Iterator

from imageblur.v1 import operator_pb2 as pb

from services.common.db.models import Delivery, Email, Image
from services.common.db.orders.order_lists import OrderTrace
from services.common.domain.findings import Inspection
from services.gateway.operator.mail.masked_addresses import mask_addresses
from services.gateway.rpc.timestamps import duration, timestamp


def steps(trace: OrderTrace) -> list[pb.TraceStep]:
    """Return the steps by start time."""
    return sorted(_steps(trace), key=lambda step: (step.start_time.ToNanoseconds(), step.kind, step.position))


def _steps(trace: OrderTrace) -> Iterator[pb.TraceStep]:
    order, now = trace.snapshot.order, trace.snapshot.read_at
    if order.upload_began_at is not None:
        upload = pb.TraceStep(kind=pb.TRACE_KIND_UPLOAD, state="SUCCEEDED", attempts=1)
        yield _timed(upload, order.upload_began_at, order.created_at, now)
    whole = pb.TraceStep(kind=pb.TRACE_KIND_ORDER, state=order.state, attempts=1)
    yield _timed(whole, order.created_at, order.finished_at, now)
    for image in trace.images:
        yield from _image_steps(image, order.created_at, now)
    for delivery in trace.deliveries:
        yield _delivery_step(delivery, now)
    for email in trace.emails:
        if email.started_at is not None:
            yield _email_step(email, email.started_at, now)
    for event in trace.snapshot.webhook_events:
        step = pb.TraceStep(
            kind=pb.TRACE_KIND_WEBHOOK,
            id=str(event.id),
            state=event.state,
            attempts=event.attempts,
            message=": ".join(filter(None, (event.type, event.message))),
        )
        yield _timed(step, event.created_at, event.finished_at, now)


def _image_steps(image: Image, created_at: int, now: int) -> Iterator[pb.TraceStep]:
    step = pb.TraceStep(
        kind=pb.TRACE_KIND_IMAGE_QUEUED,
        id=str(image.id),
        position=image.position,
        state=image.state,
        attempts=image.attempts,
    )
    # An image that is cancelled in the queue has no start.
    yield _timed(step, created_at, image.started_at or image.finished_at, now)
    if image.started_at is not None:
        attempt = pb.TraceStep(
            kind=pb.TRACE_KIND_IMAGE,
            id=str(image.id),
            position=image.position,
            state=image.state,
            attempts=image.attempts,
            message=image.message or _found(image),
        )
        yield _timed(attempt, image.started_at, image.finished_at, now)


def _found(image: Image) -> str:
    if not image.findings:
        return ""
    inspection = Inspection.from_json(image.findings)
    return f"{len(inspection.findings)} found, {inspection.hidden} hidden, {inspection.check.state}"


def _delivery_step(delivery: Delivery, now: int) -> pb.TraceStep:
    step = pb.TraceStep(
        kind=pb.TRACE_KIND_DELIVERY,
        id=str(delivery.id),
        state=delivery.state,
        message=mask_addresses(delivery.message),
        attempts=1,
    )
    return _timed(step, delivery.requested_at, delivery.finished_at, now)


def _email_step(email: Email, started_at: int, now: int) -> pb.TraceStep:
    step = pb.TraceStep(
        kind=pb.TRACE_KIND_EMAIL,
        id=str(email.id),
        position=email.part,
        state=email.state,
        attempts=email.attempts,
        message=mask_addresses(email.smtp_reply),
    )
    # The end of a failed attempt is not stored, only its start.
    end = email.sent_at if email.state in {"SENT", "SENDING"} else started_at
    return _timed(step, started_at, end, now)


def _timed(step: pb.TraceStep, start: int, end: int | None, now: int) -> pb.TraceStep:
    step.start_time.CopyFrom(timestamp(start))
    if end is not None:
        step.end_time.CopyFrom(timestamp(end))
    step.duration.CopyFrom(duration(max(0, (now if end is None else end) - start)))
    return step
