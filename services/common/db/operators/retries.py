"""Statements about images, e-mails and events for webhooks that FAILED: retried, or dismissed."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.mail import deliveries
from services.common.db.models import Delivery, Email, Image, Order, WebhookEvent
from services.common.db.orders import orders
from services.common.db.webhooks import events
from services.common.domain.mail import EmailState
from services.common.domain.orders import DeliveryState, ImageState, OrderState
from services.common.domain.retries import RETRYABLE
from services.common.domain.webhooks import WebhookState


@dataclass(frozen=True, kw_only=True)
class RetriedImage:
    """An image that is queued again; its order's window is to be refilled."""

    order_id: UUID
    position: int


class NotRetryable(Exception):
    """A failure cannot be retried; the text is the reason."""


def retry_image(session: Session, image_id: UUID) -> RetriedImage:
    """Queue a failed image again, without its former attempts; its order is RUNNING again.

    Raises:
        NotRetryable: It has not failed, its original is gone, or its order has ended for good.
    """
    order_id = session.scalar(select(Image.order_id).where(Image.id == image_id))
    order = order_id and orders.lock(session, order_id)
    if not order:
        raise NotRetryable("there is no such image")
    image = session.get(Image, image_id, populate_existing=True)
    if image is None or image.state != ImageState.FAILED:
        raise NotRetryable("the image has not failed")
    if image.dismissed or image.reason not in RETRYABLE:
        raise NotRetryable("the original was not kept: trying again would not help")
    if order.state in {OrderState.CANCELLED, OrderState.EXPIRED}:
        raise NotRetryable(f"the order is {order.state}")
    image.state, image.reason, image.message = ImageState.QUEUED, None, None
    image.findings = image.check_state = image.found = None
    image.attempts = image.crashes = image.not_before = 0
    image.enqueued_at = image.started_at = image.finished_at = None
    image.cleaned_up, image.revision = False, order.revision
    if image.next_generation:
        # A worker may still store the result of a revision that has failed, under that generation's key.
        image.next_generation += 1
    # The retention counts from the order's end, which will come again: as before its first end, `expires_at` is the
    # creation plus the retention.
    kept = order.expires_at - order.finished_at if order.finished_at else None
    session.execute(
        update(Order)
        .where(Order.id == order.id)
        .values(
            state=OrderState.RUNNING,
            failed=Order.failed - 1,
            finished_at=None,
            expires_at=Order.expires_at if kept is None else Order.created_at + kept,
        )
    )
    session.flush()
    return RetriedImage(order_id=order.id, position=image.position)


def retry_email(session: Session, email_id: UUID) -> None:
    """Queue a failed e-mail again, to be enqueued after the commit.

    Raises:
        NotRetryable: It has not failed, or its order is gone or is being mailed.
    """
    email = session.get(Email, email_id)
    if email is None:
        raise NotRetryable("there is no such e-mail")
    if email.delivery_id:
        _reopen(session, email.delivery_id)
    email = session.get(Email, email_id, populate_existing=True, with_for_update=True)
    if email is None or email.state != EmailState.FAILED or email.dismissed:
        raise NotRetryable("the e-mail has not failed, or its failure was dismissed")
    if email.mailing_id:
        raise NotRetryable("e-mails of a mailing go out with it or not at all: the next one comes")
    email.state, email.attempts, email.not_before = EmailState.QUEUED, 0, 0
    email.enqueued_at = session.scalar(select(now()))
    session.flush()


def _reopen(session: Session, delivery_id: UUID) -> None:
    order_id = session.scalar(select(Delivery.order_id).where(Delivery.id == delivery_id))
    order = order_id and orders.lock(session, order_id)
    if not order or order.state == OrderState.EXPIRED:
        raise NotRetryable("the order is gone or has expired")
    open_delivery = deliveries.find_open(session, order.id)
    if open_delivery and open_delivery.id != delivery_id:
        raise NotRetryable("the order is being mailed already")
    reopened = (
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.state == DeliveryState.FAILED)
        .values(state=DeliveryState.SENDING, finished_at=None)
    )
    session.execute(reopened)


def retry_event(session: Session, event_id: UUID) -> None:
    """Queue an event for a webhook again, to be enqueued after the commit.

    Raises:
        NotRetryable: It has not failed.
    """
    event = session.get(WebhookEvent, event_id)
    if event is None or event.state != WebhookState.FAILED or event.dismissed or not events.resend(session, [event_id]):
        raise NotRetryable("the event has not failed, or its failure was dismissed")


def dismiss_image(session: Session, image_id: UUID) -> tuple[UUID, int] | None:
    """Dismiss the failure of an image.

    Returns:
        The order and the position of the original to remove; None if there was no failure.
    """
    row = session.execute(
        update(Image)
        .where(Image.id == image_id, Image.state == ImageState.FAILED, ~Image.dismissed)
        # If the original is not removed now, the sweep does it.
        .values(dismissed=True, cleaned_up=False)
        .returning(Image.order_id, Image.position)
    ).one_or_none()
    return (row.order_id, row.position) if row else None


def dismiss_email(session: Session, email_id: UUID) -> bool:
    """Dismiss the failure of an e-mail; False if there was no failure."""
    dismissed = session.scalar(
        update(Email)
        .where(Email.id == email_id, Email.state == EmailState.FAILED, ~Email.dismissed)
        .values(dismissed=True)
        .returning(Email.id)
    )
    return dismissed is not None
