"""An order's way as steps with their durations, from its rows."""

from collections.abc import Iterator

from imageblur.v1 import operator_pb2 as pb

from services.common.db.models import Delivery, Email, Image
from services.common.db.orders.order_lists import OrderTrace
from services.gateway.operator.responses import duration, redacted
from services.gateway.orders.responses import timestamp


def steps(way: OrderTrace) -> list[pb.TraceStep]:
    """The steps, in the order of their beginnings."""
    return sorted(_steps(way), key=lambda step: (step.start_time.ToNanoseconds(), step.kind, step.position))


def _steps(way: OrderTrace) -> Iterator[pb.TraceStep]:
    order, now = way.snapshot.order, way.snapshot.read_at
    if order.upload_began_at is not None:
        upload = pb.TraceStep(kind=pb.TRACE_KIND_UPLOAD, state="SUCCEEDED", attempts=1)
        yield _timed(upload, order.upload_began_at, order.created_at, now)
    whole = pb.TraceStep(kind=pb.TRACE_KIND_ORDER, state=order.state, attempts=1)
    yield _timed(whole, order.created_at, order.finished_at, now)
    for image in way.images:
        yield from _of_image(image, order.created_at, now)
    for delivery in way.deliveries:
        yield _of_delivery(delivery, now)
    for email in way.emails:
        if email.started_at is not None:
            yield _of_email(email, now)


def _of_image(image: Image, created_at: int, now: int) -> Iterator[pb.TraceStep]:
    about = {"id": str(image.id), "position": image.position, "attempts": image.attempts}
    waits = pb.TraceStep(kind=pb.TRACE_KIND_IMAGE_WAITS, state=image.state, **about)  # type: ignore[arg-type]
    # One that was cancelled before its turn ends its waiting so.
    yield _timed(waits, created_at, image.started_at or image.finished_at, now)
    if image.started_at is not None:
        work = pb.TraceStep(
            kind=pb.TRACE_KIND_IMAGE,
            state=image.state,
            message=image.message or "",
            **about,  # type: ignore[arg-type]
        )
        yield _timed(work, image.started_at, image.finished_at, now)


def _of_delivery(delivery: Delivery, now: int) -> pb.TraceStep:
    step = pb.TraceStep(
        kind=pb.TRACE_KIND_DELIVERY,
        id=str(delivery.id),
        state=delivery.state,
        message=redacted(delivery.message),
        attempts=1,
    )
    return _timed(step, delivery.requested_at, delivery.finished_at, now)


def _of_email(email: Email, now: int) -> pb.TraceStep:
    assert email.started_at is not None
    step = pb.TraceStep(
        kind=pb.TRACE_KIND_EMAIL,
        id=str(email.id),
        position=email.part,
        state=email.state,
        attempts=email.attempts,
        message=redacted(email.smtp_reply),
    )
    # Of one that failed it is known when it was tried last, not when that ended.
    end = email.sent_at if email.state in {"SENT", "SENDING"} else email.started_at
    return _timed(step, email.started_at, end, now)


def _timed(step: pb.TraceStep, begin: int, end: int | None, now: int) -> pb.TraceStep:
    step.start_time.CopyFrom(timestamp(begin))
    if end is not None:
        step.end_time.CopyFrom(timestamp(end))
    step.duration.CopyFrom(duration(max(0, (now if end is None else end) - begin)))
    return step
