"""Statements about the depths of queues."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, TextClause, case, func, select
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
from services.common.db.operators import failures
from services.common.domain.failures import FILE_REASONS
from services.common.domain.mail import EmailState, MailingState
from services.common.domain.orders import DeliveryState, ImageQueue, ImageState
from services.common.domain.webhooks import WebhookState
from services.common.infra.messaging.messages import (
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
    def count(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
        # One of the partial indices each: these are few beside those that have ended.
        return select(func.count()).where(Image.queue == queue, *conditions).scalar_subquery()

    is_queued, is_running = (Image.state == sql_literal(state) for state in (ImageState.QUEUED, ImageState.RUNNING))
    queued = (Image.queue == queue) & (Image.state == ImageState.QUEUED)
    waits = select(Image.id).where(Image.order_id == Order.id, queued).exists()
    waiting, running, oldest_at = session.execute(
        select(
            count(is_queued, Image.enqueued_at.is_(None)) + count(is_queued, Image.enqueued_at.is_not(None)),
            count(is_running),
            select(func.min(Order.created_at)).where(ORDER_IS_OPEN, waits).scalar_subquery(),
        )
    ).one()
    failed = failures.count_images_by_reason(session, queue)
    return QueueDepth(
        waiting=waiting,
        running=running,
        failed=sum(failed.values()),
        failed_by_service=sum(number for reason, number in failed.items() if reason not in FILE_REASONS),
        oldest_at=oldest_at,
    )


def _of_webhook_events(session: Session) -> QueueDepth:
    def count(condition: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
        return select(func.count(WebhookEvent.id)).where(condition).scalar_subquery()

    is_queued = WebhookEvent.state == WebhookState.QUEUED
    waiting, running, failed, oldest_at = session.execute(
        select(
            count(is_queued),
            count(WebhookEvent.state == WebhookState.SENDING),
            count(WEBHOOK_IS_FAILURE),
            select(func.min(WebhookEvent.created_at)).where(is_queued).scalar_subquery(),
        )
    ).one()
    return QueueDepth(waiting=waiting, running=running, failed=failed, oldest_at=oldest_at)


def _of_emails(session: Session, *, bulk: bool) -> QueueDepth:
    those = Email.mailing_id.is_not(None) if bulk else Email.mailing_id.is_(None)

    def count(*conditions: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
        # Not all as conditions: SQLite would go through all e-mails without a mailing.
        return select(func.count(case((those, 1)))).where(*conditions).scalar_subquery()

    if bulk:
        oldest = select(func.min(Mailing.created_at)).where(Mailing.state == MailingState.SENDING)
    else:
        oldest = select(func.min(Delivery.requested_at)).where(
            DELIVERY_IS_OPEN, Delivery.state != DeliveryState.WAITING
        )
    waiting, running, failed, failed_by_service, oldest_at = session.execute(
        select(
            count(Email.state == sql_literal(EmailState.QUEUED)),
            count(Email.state == sql_literal(EmailState.SENDING)),
            count(EMAIL_IS_FAILURE),
            count(EMAIL_IS_FAILURE, failures.SERVICE_EMAIL),
            oldest.scalar_subquery(),
        )
    ).one()
    return QueueDepth(
        waiting=waiting, running=running, failed=failed, failed_by_service=failed_by_service, oldest_at=oldest_at
    )
