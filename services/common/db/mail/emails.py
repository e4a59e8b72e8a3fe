"""Statements about letters: claimed, sent, failed, put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import Delivery, Letter
from services.common.db.orders import orders
from services.common.domain.errors import Reason
from services.common.domain.orders import MAX_LETTER_ATTEMPTS


@dataclass(frozen=True)
class Claim:
    """The right to send a letter until its lease runs out."""

    letter_id: UUID
    kind: str
    part: int
    order_id: UUID | None
    delivery_id: UUID | None
    mailing_id: UUID | None
    subscriber_id: UUID | None
    owner: UUID
    attempts: int
    """This one included."""


def claim(session: Session, letter_id: UUID, *, lease_seconds: float) -> Claim | None:
    """Take a letter that was given to the broker; None if it is not queued (somebody else's, cancelled, gone).

    None too if it waits for its next attempt: a repeated message is early, one that is in time will come.
    """
    order_id = _order_of(session, letter_id)
    if order_id:
        orders.lock(session, order_id)
    letter = session.scalar(
        update(Letter)
        .where(Letter.id == letter_id, Letter.state == "QUEUED", Letter.enqueued_at.is_not(None))
        .values(
            state="SENDING",
            owner=uuid4(),
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=Letter.attempts + 1,
            started_at=now(),
        )
        .returning(Letter)
        .execution_options(synchronize_session=False)
    )
    if letter is None:
        session.rollback()
        return None
    assert letter.owner
    if letter.delivery_id:
        deliveries.sending(session, letter.delivery_id)
    return Claim(
        letter.id,
        letter.kind,
        letter.part,
        order_id,
        letter.delivery_id,
        letter.mailing_id,
        letter.subscriber_id,
        letter.owner,
        letter.attempts,
    )


def renew(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold; none gets shorter."""
    lease_until = now() + int(lease_seconds * SECOND)
    # Over many orders, none of which is locked: see the outbox. Who has locked such a letter is about to end its claim.
    held = select(Letter.id).where(
        Letter.owner.in_(owners), Letter.state == "SENDING", Letter.lease_until < lease_until
    )
    session.execute(
        update(Letter)
        .where(Letter.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=lease_until)
        .execution_options(synchronize_session=False)
    )


def extend(session: Session, claimed: Claim, *, lease_seconds: float) -> bool:
    """Make sure that a claim lasts so long from now; False if it was lost meanwhile."""
    result = session.execute(
        update(Letter)
        .where(Letter.id == claimed.letter_id, Letter.state == "SENDING", Letter.owner == claimed.owner)
        .values(lease_until=now() + int(lease_seconds * SECOND))
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[tuple[()]]", result).rowcount == 1


def insert_parts(session: Session, claimed: Claim, parts: int) -> list[UUID]:
    """The letters that a delivery in so many parts still lacks, to be enqueued after the commit.

    Empty too if the claim was lost meanwhile.
    """
    assert claimed.order_id
    assert claimed.delivery_id
    # The order first, as everybody does: with it locked, nobody cancels the delivery or adds parts meanwhile.
    orders.lock(session, claimed.order_id)
    held = select(Letter.id).where(
        Letter.id == claimed.letter_id, Letter.state == "SENDING", Letter.owner == claimed.owner
    )
    if session.scalar(held) is None:
        session.rollback()
        return []
    there = set(session.scalars(select(Letter.part).where(Letter.delivery_id == claimed.delivery_id)))
    return [
        deliveries.insert_letter(session, claimed.delivery_id, part)
        for part in range(1, parts + 1)
        if part not in there
    ]


def sent(session: Session, claimed: Claim, *, smtp_reply: str) -> bool:
    """The server took the letter; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "SENT", "smtp_reply": smtp_reply, "sent_at": now()}, told=smtp_reply)


def failed(session: Session, claimed: Claim, reason: Reason, message: str) -> bool:
    """The letter will never be sent; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "FAILED", "smtp_reply": message}, reason=reason, message=message)


def cancelled(session: Session, claimed: Claim) -> bool:
    """The letter is not wanted any more; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "CANCELLED"})


def release(session: Session, claimed: Claim, *, delay: float, message: str) -> bool:
    """Put a letter back for another attempt in `delay` seconds; False if the claim was lost meanwhile."""
    not_before = now() + int(delay * SECOND)
    values = {"state": "QUEUED", "not_before": not_before, "enqueued_at": None, "smtp_reply": message}
    return _end(session, claimed, values, told=message)


def postpone(session: Session, claimed: Claim, *, delay: float, message: str) -> bool:
    """Put a letter back that was not tried; the attempt does not count. False if the claim was lost meanwhile."""
    not_before = now() + int(delay * SECOND)
    values = {"state": "QUEUED", "not_before": not_before, "enqueued_at": None, "attempts": Letter.attempts - 1}
    return _end(session, claimed, values, told=message)


def take_back(session: Session, claimed: Claim) -> bool:
    """Put a letter back whose lease has run out; False if its owner has renewed it or finished meanwhile."""
    if claimed.order_id:
        orders.lock(session, claimed.order_id)
    lapsed = select(Letter.id).where(
        Letter.id == claimed.letter_id, Letter.owner == claimed.owner, Letter.lease_until < now()
    )
    if session.scalar(lapsed.with_for_update()) is None:
        session.rollback()
        return False
    if claimed.attempts >= MAX_LETTER_ATTEMPTS:
        return failed(
            session, claimed, Reason.INTERNAL, f"no mailer finished the letter in {MAX_LETTER_ATTEMPTS} attempts"
        )
    return release(session, claimed, delay=0, message="the mailer did not finish")


def _end(
    session: Session,
    claimed: Claim,
    values: Mapping[str, object],
    *,
    reason: Reason | None = None,
    message: str | None = None,
    told: str | None = None,
) -> bool:
    if claimed.order_id:
        orders.lock(session, claimed.order_id)
    result = session.execute(
        update(Letter)
        .where(Letter.id == claimed.letter_id, Letter.state == "SENDING", Letter.owner == claimed.owner)
        .values(owner=None, lease_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[tuple[()]]", result).rowcount != 1:
        session.rollback()
        return False
    if claimed.delivery_id and told:
        deliveries.told(session, claimed.delivery_id, told)
    if claimed.delivery_id:
        deliveries.letter_ended(session, claimed.delivery_id, reason=reason, message=message)
    return True


def insert_for_subscriber(session: Session, subscriber_id: UUID, kind: Literal["CONFIRM", "GOODBYE"]) -> UUID:
    """A letter that asks a subscriber to confirm, or says goodbye, to be enqueued after the commit; its id."""
    letter_id = uuid4()
    session.execute(
        insert(Letter).values(id=letter_id, kind=kind, subscriber_id=subscriber_id, state="QUEUED", enqueued_at=now())
    )
    return letter_id


def _order_of(session: Session, letter_id: UUID) -> UUID | None:
    return session.scalar(
        select(Delivery.order_id).join(Letter, Letter.delivery_id == Delivery.id).where(Letter.id == letter_id)
    )
