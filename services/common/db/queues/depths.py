"""Statements about the depths of queues."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, TextClause, case, func, select
from sqlalchemy.orm import Session

from services.common.db.models import (
    DELIVERY_IS_OPEN,
    EMAIL_IS_FAILURE,
    ORDER_IS_OPEN,
    WEBHOOK_IS_FAILURE,
    Delivery,
    Email,
    Image,
    Mailing,
    Order,
    WebhookEvent,
    sql_literal,
)
from services.common.db.queues import failures
from services.common.domain.failures import FILE_REASONS
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
    """Number of the failed ones that operators have to look at."""
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
    def count(*conditions: ColumnElement[bool]) -> int:
        # One of the partial indices each: these are few beside those that have ended.
        return session.scalar(select(func.count()).where(Image.queue == queue, *conditions)) or 0

    is_queued, is_running = (Image.state == sql_literal(state) for state in (ImageState.QUEUED, ImageState.RUNNING))
    waiting = count(is_queued, Image.enqueued_at.is_(None)) + count(is_queued, Image.enqueued_at.is_not(None))
    failed = failures.count_images_by_reason(session, queue)
    queued = (Image.queue == queue) & (Image.state == ImageState.QUEUED)
    waits = select(Image.id).where(Image.order_id == Order.id, queued).exists()
    oldest = select(func.min(Order.created_at)).where(ORDER_IS_OPEN, waits)
    return QueueDepth(
        waiting=waiting,
        running=count(is_running),
        failed=sum(failed.values()),
        failed_by_service=sum(number for reason, number in failed.items() if reason not in FILE_REASONS),
        oldest_at=session.scalar(oldest),
    )


def _of_webhook_events(session: Session) -> QueueDepth:
    def count(state: WebhookState) -> int:
        return session.scalar(select(func.count()).where(WebhookEvent.state == state)) or 0

    oldest = select(func.min(WebhookEvent.created_at)).where(WebhookEvent.state == WebhookState.QUEUED)
    return QueueDepth(
        waiting=count(WebhookState.QUEUED),
        running=count(WebhookState.SENDING),
        failed=session.scalar(select(func.count(WebhookEvent.id)).where(WEBHOOK_IS_FAILURE)) or 0,
        oldest_at=session.scalar(oldest),
    )


def _of_emails(session: Session, *, bulk: bool) -> QueueDepth:
    those = Email.mailing_id.is_not(None) if bulk else Email.mailing_id.is_(None)

    def count(*conditions: ColumnElement[bool] | TextClause) -> int:
        # Not all as conditions: SQLite would go through all e-mails without a mailing.
        return session.scalar(select(func.count(case((those, 1)))).where(*conditions)) or 0

    if bulk:
        oldest = select(func.min(Mailing.created_at)).where(Mailing.state == MailingState.SENDING)
    else:
        oldest = select(func.min(Delivery.requested_at)).where(
            DELIVERY_IS_OPEN, Delivery.state != DeliveryState.WAITING
        )
    return QueueDepth(
        waiting=count(Email.state == sql_literal(EmailState.QUEUED)),
        running=count(Email.state == sql_literal(EmailState.SENDING)),
        failed=count(EMAIL_IS_FAILURE),
        failed_by_service=count(EMAIL_IS_FAILURE, failures.SERVICE_EMAIL),
        oldest_at=session.scalar(oldest),
    )
