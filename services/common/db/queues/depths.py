"""Statements about how much each queue has to do, and since when."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from services.common.db.models import Delivery, Email, Image, Mailing, Order
from services.common.domain.orders import ImageState, OrderState
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE

QUEUES = (BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE)


@dataclass(frozen=True)
class Depth:
    """How much there is of each: images or e-mails."""

    waiting: int
    running: int
    failed: int
    oldest_at: int | None
    """When the order, delivery or mailing was made that has waited longest."""


def depth(session: Session, queue: str) -> Depth:
    """Of one queue."""
    return _of_images(session) if queue == BLUR_QUEUE else _of_emails(session, bulk=queue == MAILING_QUEUE)


def _of_images(session: Session) -> Depth:
    states: dict[str, int] = {
        row[0]: row[1]
        for row in session.execute(
            select(Image.state, func.count())
            # Each as in its partial index: these are few beside those that have ended.
            .where(or_(Image.state == ImageState.QUEUED, Image.state == ImageState.RUNNING))
            .group_by(Image.state)
        )
    }
    failed = session.scalar(select(func.count()).where(Image.state == ImageState.FAILED, ~Image.dropped))
    waits = select(Image.id).where(Image.order_id == Order.id, Image.state == ImageState.QUEUED).exists()
    oldest = select(func.min(Order.created_at)).where(Order.state.in_((OrderState.QUEUED, OrderState.RUNNING)), waits)
    return Depth(
        states.get(ImageState.QUEUED, 0), states.get(ImageState.RUNNING, 0), failed or 0, session.scalar(oldest)
    )


def _of_emails(session: Session, *, bulk: bool) -> Depth:
    those = Email.mailing_id.is_not(None) if bulk else Email.mailing_id.is_(None)

    def count(*conditions: object) -> int:
        return session.scalar(select(func.count()).select_from(Email).where(those, *conditions)) or 0  # type: ignore[arg-type]

    if bulk:
        oldest = select(func.min(Mailing.created_at)).where(Mailing.state == "SENDING")
    else:
        oldest = select(func.min(Delivery.requested_at)).where(Delivery.state.in_(("QUEUED", "SENDING")))
    return Depth(
        count(Email.state == "QUEUED"),
        count(Email.state == "SENDING"),
        count(Email.state == "FAILED", ~Email.dropped),
        session.scalar(oldest),
    )
