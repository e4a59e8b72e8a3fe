"""Converts orders, images and deliveries to messages."""

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import order_pb2

from services.common.db.clock import SECOND
from services.common.db.models import Delivery, Image, Order
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.findings import Inspection
from services.common.domain.orders import DeliveryState, ImageState, OrderState
from services.common.domain.sources import ImageSource
from services.common.domain.spec import BlurSpec, Format
from services.gateway.orders.messages.findings import inspection_messages
from services.gateway.orders.messages.spec_messages import spec_message
from services.gateway.rpc.timestamps import timestamp
from services.gateway.webhooks.messages import webhook_event_message

_WITH_FAILURE = {ImageState.FAILED, ImageState.SUCCEEDED}


def order_message(snapshot: Snapshot, *, with_spec: bool = False) -> order_pb2.Order:
    """Return an order, on request with its spec."""
    order = snapshot.order
    ended = order.succeeded + order.failed + order.cancelled
    message = order_pb2.Order(
        order_id=str(order.id),
        state=order_pb2.OrderState.Value(f"ORDER_STATE_{order.state}"),
        counts=order_pb2.Counts(
            total=order.total,
            queued=order.total - ended - snapshot.running,
            running=snapshot.running,
            succeeded=order.succeeded,
            failed=order.failed,
            cancelled=order.cancelled,
        ),
        create_time=timestamp(order.created_at),
        finish_time=timestamp(order.finished_at),
        expire_time=timestamp(order.expires_at),
        deliveries=[delivery_message(delivery, emails) for delivery, emails in snapshot.deliveries],
        revision=order.revision,
        email_hint=email_hint(order.email) if order.email else "",
        webhook_events=map(webhook_event_message, snapshot.webhook_events),
    )
    # While images are revised, it is the deadline as of the first end; before, there is none yet.
    if order.originals_until is not None:
        message.originals_expire_time.CopyFrom(timestamp(order.originals_until))
    if with_spec:
        message.spec.CopyFrom(spec_message(BlurSpec.from_json(order.spec)))
    remaining = _estimated_remaining(order, ended, snapshot.read_at)
    if remaining is not None:
        message.estimated_remaining.CopyFrom(remaining)
    return message


def image_message(image: Image, *, with_spec: bool = False) -> order_pb2.Image:
    """Return an image, on request with its own spec."""
    findings, check = inspection_messages(_inspection(image)) if image.state == ImageState.SUCCEEDED else ([], None)
    return order_pb2.Image(
        image_id=str(image.id),
        position=image.position,
        filename=image.filename,
        state=order_pb2.ImageState.Value(f"IMAGE_STATE_{image.state}"),
        # With a result, it is that of a revision that left the former result.
        failure=_failure(image.reason, image.message) if ImageState(image.state) in _WITH_FAILURE else None,
        input_bytes=image.input_bytes,
        output_bytes=image.output_bytes,
        width=image.width,
        height=image.height,
        media_type=Format(image.format).media_type if image.format else "",
        output_sha256=bytes.fromhex(image.output_sha256 or ""),
        start_time=timestamp(image.started_at),
        finish_time=timestamp(image.finished_at),
        attempts=image.attempts,
        source=ImageSource.from_json(image.source).label if image.source else "",
        findings=findings,
        check=check,
        spec=spec_message(BlurSpec.from_json(image.spec)) if with_spec and image.spec else None,
    )


def delivery_message(delivery: Delivery, emails: int) -> order_pb2.Delivery:
    """Return a delivery with its number of e-mails."""
    sent = delivery.state == DeliveryState.SENT
    return order_pb2.Delivery(
        delivery_id=str(delivery.id),
        state=order_pb2.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state}"),
        failure=_failure(delivery.reason, delivery.message) if delivery.state == DeliveryState.FAILED else None,
        emails=emails,
        server_reply=delivery.message or "",
        request_time=timestamp(delivery.requested_at),
        send_time=timestamp(delivery.finished_at) if sent else None,
    )


def email_hint(email: str) -> str:
    """Return an address mostly hidden: `a***@example.org`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


def _inspection(image: Image) -> Inspection:
    return Inspection.from_json(image.findings) if image.findings else Inspection()


def _failure(reason: str | None, message: str | None) -> order_pb2.Failure | None:
    if reason is None:
        return None
    return order_pb2.Failure(reason=order_pb2.FailureReason.Value(f"FAILURE_REASON_{reason}"), message=message or "")


def _estimated_remaining(order: Order, ended: int, time: int) -> Duration | None:
    # A revised order has images that ended long ago.
    if order.originals_until is not None or not ended or order.started_at is None or not OrderState(order.state).open:
        return None
    each = max(0, time - order.started_at) / ended
    return Duration(seconds=round(each * (order.total - ended) / SECOND))
