"""Statements about deliveries: requests to send an order's results by e-mail. Writers lock the order's row first."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import Update, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Delivery, Email, Order, table
from services.common.domain.errors import Reason
from services.common.domain.mail import OPEN_EMAIL_STATES, EmailKind, EmailState
from services.common.domain.orders import DeliveryState

_DELIVERIES = table(Delivery)
_RELEASE = (
    update(_DELIVERIES)
    .where(_DELIVERIES.c.order_id == bindparam("released_order"), _DELIVERIES.c.state == DeliveryState.WAITING)
    .values(state=DeliveryState.QUEUED)
    .returning(_DELIVERIES.c.id)
)
_BEING_SENT_SECONDS = 30.0
"""Seconds after which it is known whether another e-mail to the mailbox was sent."""
OPEN = (DeliveryState.WAITING, DeliveryState.QUEUED, DeliveryState.SENDING)


def insert_delivery(session: Session, order_id: UUID, state: DeliveryState) -> Delivery:
    """Insert a delivery: WAITING for the order to end, or QUEUED, which needs an e-mail too."""
    delivery = Delivery(id=uuid4(), order_id=order_id, state=state, requested_at=session.scalar(select(now())))
    session.add(delivery)
    session.flush()
    return delivery


def find_open(session: Session, order_id: UUID) -> Delivery | None:
    """Return the order's open delivery, if it has one."""
    return session.scalar(select(Delivery).where(Delivery.order_id == order_id, Delivery.state.in_(OPEN)))


def list_orders_being_mailed(session: Session) -> Sequence[UUID]:
    """Return the orders with a delivery that is QUEUED or SENDING."""
    states = (DeliveryState.QUEUED, DeliveryState.SENDING)
    return session.scalars(select(Delivery.order_id).where(Delivery.state.in_(states))).all()


def seconds_until_next(session: Session, order_id: UUID, *, cooldown: float) -> float:
    """Return the seconds until another delivery of the order may be requested; 0 or less: now.

    Deliveries that failed or were cancelled do not count: no e-mail arrived.
    """
    last = session.scalar(
        select(func.max(Delivery.requested_at)).where(
            Delivery.order_id == order_id, Delivery.state.not_in((DeliveryState.FAILED, DeliveryState.CANCELLED))
        )
    )
    if last is None:
        return 0.0
    # Not longer than the cooldown if the clock was set back since.
    return min(0.0, (last - (session.scalar(select(now())) or 0)) / SECOND) + cooldown


def seconds_until_allowed(
    session: Session, address: str, mailboxes: Sequence[str], *, limit: int, seconds: float
) -> float:
    """Return the seconds until a mailbox may be sent another order e-mail, at most `limit` in so many seconds.

    `mailboxes` are the hashes of its mailbox; `address` is for orders of the version before, which have none.
    """
    since = (session.scalar(select(now())) or 0) - int(seconds * SECOND)
    newest_sent = (
        select(Email.sent_at)
        .join(Delivery, Delivery.id == Email.delivery_id)
        .join(Order, Order.id == Delivery.order_id)
        .where(or_(Order.mailbox.in_(mailboxes), Order.email == address), Email.sent_at > since)
        .order_by(Email.sent_at.desc())
        .limit(limit)
    )
    times = session.scalars(newest_sent).all()
    return 0.0 if len(times) < limit else ((times[-1] or 0) - since) / SECOND


def seconds_until_first_again(
    session: Session, address: str, mailboxes: Sequence[str], email_id: UUID, *, seconds: float
) -> float:
    """Return the seconds until a mailbox that has not confirmed may be sent another e-mail, one in so many seconds.

    Of e-mails that are being sent at the same time, the one with the smallest ID is the first.
    """
    wait = seconds_until_allowed(session, address, mailboxes, limit=1, seconds=seconds)
    if wait:
        return wait
    being_sent = (
        select(Email.id)
        .join(Delivery, Delivery.id == Email.delivery_id)
        .join(Order, Order.id == Delivery.order_id)
        .where(
            or_(Order.mailbox.in_(mailboxes), Order.email == address),
            Email.state == EmailState.SENDING,
            Email.id < email_id,
        )
    )
    return _BEING_SENT_SECONDS if session.scalar(select(being_sent.exists())) else 0.0


def insert_email(session: Session, delivery_id: UUID, part: int = 1) -> UUID:
    """Insert an e-mail of a delivery; return its id, to enqueue after the commit."""
    email_id = uuid4()
    session.execute(
        insert(Email).values(
            id=email_id,
            kind=EmailKind.ORDER_READY,
            delivery_id=delivery_id,
            part=part,
            state=EmailState.QUEUED,
            enqueued_at=now(),
        )
    )
    return email_id


def count_emails(session: Session, delivery_id: UUID) -> int:
    """Return how many e-mails a delivery has so far; the mailer inserts further parts when it drafts the first."""
    return session.scalar(select(func.count()).where(Email.delivery_id == delivery_id)) or 0


def was_mailed(session: Session, order_id: UUID) -> bool:
    """Return whether an e-mail of the order was sent."""
    of_order = Email.delivery_id.in_(select(Delivery.id).where(Delivery.order_id == order_id))
    return bool(session.scalar(select(exists().where(of_order, Email.sent_at.is_not(None)))))


def release_waiting(session: Session, order_id: UUID) -> list[UUID]:
    """Queue the delivery that waits for the order; return the ids of its e-mails, to enqueue after the commit."""
    delivery_id = session.scalar(_RELEASE, {"released_order": order_id})
    return [insert_email(session, delivery_id)] if delivery_id else []


def cancel_open(session: Session, *order_ids: UUID) -> None:
    """Cancel the orders' open deliveries and their unsent e-mails; one that is being sent may still arrive."""
    delivery_ids = session.scalars(
        update(Delivery)
        .where(Delivery.order_id.in_(order_ids), Delivery.state.in_(OPEN))
        .values(state=DeliveryState.CANCELLED, finished_at=now())
        .returning(Delivery.id)
    ).all()
    if delivery_ids:
        session.execute(
            update(Email)
            .where(Email.delivery_id.in_(delivery_ids), Email.state.in_(OPEN_EMAIL_STATES))
            .values(state=EmailState.CANCELLED, owner=None, lease_until=None)
        )


def mark_sending(session: Session, delivery_id: UUID) -> None:
    """Record that a mailer has claimed an e-mail of the delivery."""
    session.execute(_set(delivery_id, state=DeliveryState.SENDING).where(Delivery.state == DeliveryState.QUEUED))


def set_message(session: Session, delivery_id: UUID, message: str, *, failure_reason: Reason | None) -> None:
    """Record the mail server's last reply. That of a failure stays, whatever becomes of the delivery's other parts."""
    if failure_reason:
        session.execute(_set(delivery_id, reason=failure_reason, message=message))
    else:
        session.execute(_set(delivery_id, message=message).where(Delivery.reason.is_(None)))


def finish_if_complete(session: Session, delivery_id: UUID) -> None:
    """End a delivery once none of its e-mails is open: FAILED if any failed, else SENT."""
    of_delivery = Email.delivery_id == delivery_id
    if session.scalar(select(exists().where(of_delivery, Email.state.in_(OPEN_EMAIL_STATES)))):
        return
    failed = session.scalar(select(exists().where(of_delivery, Email.state == EmailState.FAILED)))
    state = DeliveryState.FAILED if failed else DeliveryState.SENT
    session.execute(_set(delivery_id, state=state, finished_at=now()).where(Delivery.state == DeliveryState.SENDING))


def _set(delivery_id: UUID, **values: object) -> Update:
    return update(Delivery).where(Delivery.id == delivery_id).values(**values)
