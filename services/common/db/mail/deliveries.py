"""Statements about requests for results by mail. The order's row is locked by whoever changes them."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import Update, bindparam, exists, func, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Delivery, Email, Order, table
from services.common.domain.orders import DeliveryState

_DELIVERIES = table(Delivery)
_RELEASE = (
    update(_DELIVERIES)
    .where(_DELIVERIES.c.order_id == bindparam("released_order"), _DELIVERIES.c.state == DeliveryState.WAITING)
    .values(state=DeliveryState.QUEUED)
    .returning(_DELIVERIES.c.id)
)
OPEN = (DeliveryState.WAITING, DeliveryState.QUEUED, DeliveryState.SENDING)


def insert_delivery(session: Session, order_id: UUID, state: DeliveryState) -> Delivery:
    """Ask for an order's results by mail: WAITING for the order, or QUEUED, which needs an e-mail too."""
    delivery = Delivery(id=uuid4(), order_id=order_id, state=state, requested_at=session.scalar(select(now())))
    session.add(delivery)
    session.flush()
    return delivery


def find_open(session: Session, order_id: UUID) -> Delivery | None:
    """The order's open delivery, if it has one."""
    return session.scalar(select(Delivery).where(Delivery.order_id == order_id, Delivery.state.in_(OPEN)))


def list_orders_being_mailed(session: Session) -> Sequence[UUID]:
    """Return the orders with a delivery that is QUEUED or SENDING."""
    states = (DeliveryState.QUEUED, DeliveryState.SENDING)
    return session.scalars(select(Delivery.order_id).where(Delivery.state.in_(states))).all()


def seconds_until_next(session: Session, order_id: UUID, *, cooldown: float) -> float:
    """Seconds until the order's results may be mailed once more; 0 or less: now.

    A delivery that failed does not count: nobody got it, and its reader may have put things right.
    """
    last = session.scalar(
        select(func.max(Delivery.requested_at)).where(
            Delivery.order_id == order_id, Delivery.state.not_in((DeliveryState.FAILED, DeliveryState.CANCELLED))
        )
    )
    return 0.0 if last is None else (last - (session.scalar(select(now())) or 0)) / SECOND + cooldown


def sent_lately(session: Session, email: str, *, most: int, seconds: float) -> float:
    """Seconds until an address has had fewer than `most` e-mails about orders in so many seconds; 0: it has."""
    time = session.scalar(select(now())) or 0
    since = time - int(seconds * SECOND)
    sent = (
        select(Email.sent_at)
        .join(Delivery, Delivery.id == Email.delivery_id)
        .join(Order, Order.id == Delivery.order_id)
        .where(Order.email == email, Email.sent_at > since)
        .order_by(Email.sent_at.desc())
        .limit(most)
    )
    times = session.scalars(sent).all()
    # The oldest of the last `most` has to be so long ago.
    return 0.0 if len(times) < most else ((times[-1] or 0) - since) / SECOND


def insert_email(session: Session, delivery_id: UUID, part: int = 1) -> UUID:
    """An e-mail of a delivery, to be enqueued after the commit; its id."""
    email_id = uuid4()
    session.execute(
        insert(Email).values(
            id=email_id, kind="ORDER_READY", delivery_id=delivery_id, part=part, state="QUEUED", enqueued_at=now()
        )
    )
    return email_id


def email_count(session: Session, delivery_id: UUID) -> int:
    """How many e-mails a delivery takes, as far as it is known."""
    return session.scalar(select(func.count()).where(Email.delivery_id == delivery_id)) or 0


def release_waiting(session: Session, order_id: UUID) -> list[UUID]:
    """Queue the delivery that waited for the order; the e-mails to enqueue."""
    delivery_id = session.scalar(_RELEASE, {"released_order": order_id})
    return [insert_email(session, delivery_id)] if delivery_id else []


def cancel_open(session: Session, order_id: UUID) -> None:
    """Cancel the order's open delivery and what has not been sent of it; an e-mail being sent may still go out."""
    delivery_id = session.scalar(
        update(Delivery)
        .where(Delivery.order_id == order_id, Delivery.state.in_(OPEN))
        .values(state=DeliveryState.CANCELLED, finished_at=now())
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    if delivery_id:
        session.execute(
            update(Email)
            .where(Email.delivery_id == delivery_id, Email.state.in_(("QUEUED", "SENDING")))
            .values(state="CANCELLED", owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )


def told(session: Session, delivery_id: UUID, message: str) -> None:
    """What the mail server has said, of a delivery that has not failed."""
    session.execute(_set(delivery_id, message=message).where(Delivery.reason.is_(None)))


def email_ended(session: Session, delivery_id: UUID, *, reason: str | None = None, message: str | None = None) -> None:
    """End a delivery once none of its e-mails is open: FAILED if any failed, else SENT."""
    open_emails = exists().where(Email.delivery_id == delivery_id, Email.state.in_(("QUEUED", "SENDING")))
    if reason:
        session.execute(_set(delivery_id, reason=reason, message=message))
    if session.scalar(select(open_emails)):
        return
    failed = session.scalar(select(func.count()).where(Email.delivery_id == delivery_id, Email.state == "FAILED"))
    state = DeliveryState.FAILED if failed else DeliveryState.SENT
    session.execute(_set(delivery_id, state=state, finished_at=now()).where(Delivery.state == DeliveryState.SENDING))


def sending(session: Session, delivery_id: UUID) -> None:
    """An e-mail of the delivery is with the mailer."""
    session.execute(_set(delivery_id, state=DeliveryState.SENDING).where(Delivery.state == DeliveryState.QUEUED))


def _set(delivery_id: UUID, **values: object) -> Update:
    return (
        update(Delivery).where(Delivery.id == delivery_id).values(**values).execution_options(synchronize_session=False)
    )
