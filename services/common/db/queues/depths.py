"""Statements about the depths of queues."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from services.common.db.models import Delivery, Email, Image, Mailing, Order, WebhookEvent
from services.common.db.orders.orders import OPEN_STATES
from services.common.db.queues import failures
from services.common.domain.mail import EmailState, MailingState
from services.common.domain.orders import DeliveryState, ImageQueue, ImageState
from services.common.domain.webhooks import WebhookState
from services.common.infra.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    INSTANT_QUEUE,
    MAIL_QUEUE,
    MAILING_QUEUE,
    WEBHOOK_QUEUE,
)

QUEUES = (BLUR_QUEUE, FIND_QUEUE, FETCH_QUEUE, INSTANT_QUEUE, MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE)
IMAGE_QUEUES = frozenset(queue.value for queue in ImageQueue)


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """Numbers of images or e-mails by state."""

    waiting: int
    running: int
    failed: int
    failed_by_service: int = 0
    """Of these, those that operators have to look at."""
    oldest_at: int | None
    """When the oldest order, delivery or mailing was created that still waits."""


def get_depth(session: Session, queue: str) -> QueueDepth:
    """Return the depth of a queue, by the rows; instant calls have none."""
    if queue == INSTANT_QUEUE:
        return QueueDepth(waiting=0, running=0, failed=0, oldest_at=None)
    if queue in IMAGE_QUEUES:
        return _of_images(session, ImageQueue(queue))
    if queue == WEBHOOK_QUEUE:
        return _of_webhook_events(session)
    return _of_emails(session, bulk=queue == MAILING_QUEUE)


def _of_images(session: Session, queue: ImageQueue) -> QueueDepth:
    states: dict[str, int] = {
        row[0]: row[1]
        for row in session.execute(
            select(Image.state, func.count())
            # Each as in its partial index: these are few beside those that have ended.
            .where(Image.queue == queue, or_(Image.state == ImageState.QUEUED, Image.state == ImageState.RUNNING))
            .group_by(Image.state)
        )
    }
    failed = select(func.count()).where(Image.queue == queue, Image.state == ImageState.FAILED, ~Image.dropped)
    queued = (Image.queue == queue) & (Image.state == ImageState.QUEUED)
    waits = select(Image.id).where(Image.order_id == Order.id, queued).exists()
    oldest = select(func.min(Order.created_at)).where(Order.state.in_(OPEN_STATES), waits)
    return QueueDepth(
        waiting=states.get(ImageState.QUEUED, 0),
        running=states.get(ImageState.RUNNING, 0),
        failed=session.scalar(failed) or 0,
        failed_by_service=session.scalar(failed.where(failures.SERVICE_IMAGE)) or 0,
        oldest_at=session.scalar(oldest),
    )


def _of_webhook_events(session: Session) -> QueueDepth:
    def count(state: WebhookState) -> int:
        return session.scalar(select(func.count()).where(WebhookEvent.state == state)) or 0

    oldest = select(func.min(WebhookEvent.created_at)).where(WebhookEvent.state == WebhookState.QUEUED)
    return QueueDepth(
        waiting=count(WebhookState.QUEUED),
        running=count(WebhookState.SENDING),
        failed=count(WebhookState.FAILED),
        oldest_at=session.scalar(oldest),
    )


def _of_emails(session: Session, *, bulk: bool) -> QueueDepth:
    those = Email.mailing_id.is_not(None) if bulk else Email.mailing_id.is_(None)

    def count(*conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(Email).where(those, *conditions)) or 0

    if bulk:
        oldest = select(func.min(Mailing.created_at)).where(Mailing.state == MailingState.SENDING)
    else:
        oldest = select(func.min(Delivery.requested_at)).where(
            Delivery.state.in_((DeliveryState.QUEUED, DeliveryState.SENDING))
        )
    return QueueDepth(
        waiting=count(Email.state == EmailState.QUEUED),
        running=count(Email.state == EmailState.SENDING),
        failed=count(Email.state == EmailState.FAILED, ~Email.dropped),
        failed_by_service=count(Email.state == EmailState.FAILED, ~Email.dropped, failures.SERVICE_EMAIL),
        oldest_at=session.scalar(oldest),
    )
