"""Makes rows that have e-mails to send, as gateway, worker and scheduler would."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update

from services.common.db.engine import Database
from services.common.db.mail import mailings, subscribers
from services.common.db.models import Delivery, Email, Image, Mailing, Subscriber
from services.common.db.orders import image_claims, image_outcomes, new_orders
from services.common.db.orders.image_outcomes import Failure, Success
from services.common.db.queues import outbox
from services.common.domain.errors import ImageError, Reason
from services.common.domain.findings import Inspection
from services.common.domain.mailboxes import MailboxHasher
from services.common.domain.orders import result_key
from services.common.domain.spec import BlurSpec
from services.common.use_cases.recipients import Recipients
from tests.support.factories import new_images, new_order

MAILBOXES = MailboxHasher("k" * 40)
ANYONE = Recipients(hasher=MAILBOXES, anyone=True)
Result = bytes | ImageError
"""The result of an image."""
CORRUPT = ImageError(Reason.CORRUPT, "The PNG file is damaged or incomplete")


class PutBlob(Protocol):
    """Stores results."""

    def put(self, key: str, data: bytes) -> object:
        """Store a blob."""


@dataclass(frozen=True)
class MadeOrder:
    """A finished order whose results are to be sent by e-mail."""

    order_id: UUID
    email_id: UUID


def make_order(
    database: Database,
    blobs: PutBlob,
    results: Sequence[Result],
    *,
    filenames: Sequence[str] | None = None,
    email: str = "ann@example.org",
    locale: str = "en",
    inspections: Sequence[Inspection | None] = (),
    spec: BlurSpec = BlurSpec(),  # noqa: B008 - frozen
    principal: str = "test",
) -> MadeOrder:
    order = new_order(
        spec=spec.to_json(),
        email=email,
        mailbox=MAILBOXES.hash(email),
        locale=locale,
        notify=True,
        retention=7 * 24 * 3600,
        principal=principal,
    )
    names = filenames or [f"secret {position}.png" for position in range(1, len(results) + 1)]
    new = new_images(*names, size=1, sha256="ab" * 32)
    emails: Sequence[UUID] = ()
    with database.write() as session:
        new_orders.insert_order(session, order, new, window=len(new))
    for image, result, inspection in zip_longest(new, results, inspections):
        with database.write() as session:
            claim = image_claims.claim(session, image.id, lease_seconds=60)
            assert claim
            outcome: Success | Failure
            if isinstance(result, ImageError):
                outcome = Failure(result.reason, result.message)
            else:
                blobs.put(result_key(order.id, image.position), result)
                outcome = Success(
                    size=len(result),
                    sha256=sha256(result).hexdigest(),
                    width=8,
                    height=8,
                    format="PNG",
                    engine="imageblur 1.2.3",
                    inspection=inspection,
                )
            ended = image_outcomes.finish(session, claim, outcome, window=1)
            assert ended
            emails = ended.follow_up.email_ids
    (email_id,) = emails
    return MadeOrder(order.id, email_id)


def make_subscriber(database: Database, email: str, *, confirmed: bool = True, locale: str = "en") -> UUID:
    with database.write() as session:
        subscribers.subscribe(session, email=email, email_key=email, locale=locale, confirm=not confirmed)
        found = session.scalar(select(Subscriber.id).where(Subscriber.email_key == email))
        assert found
        return found


def make_subscribers(database: Database, count: int) -> None:
    with database.write() as session:
        session.execute(
            insert(Subscriber),
            [
                {
                    "id": uuid4(),
                    "email_key": f"s{number}@example.org",
                    "email": f"s{number}@example.org",
                    "locale": "en",
                    "state": "CONFIRMED",
                }
                for number in range(count)
            ],
        )


def make_mailing(database: Database, text: dict[str, str] | None = None) -> UUID:
    content: dict[str, object] = {"orders": 12, "images": 340, "failed": 1, "text": text or {}}
    content_json = json.dumps(content | {"from": "2026-11-16T09:00:00+00:00", "to": "2026-11-23T09:00:00+00:00"})
    with database.write() as session:
        mailing_id = mailings.insert_mailing(session, period=f"manual:{uuid4()}", due_at=1, content=content_json)
    assert mailing_id
    return mailing_id


def email(database: Database, email_id: UUID) -> Email:
    with database.read() as session:
        return session.scalars(select(Email).where(Email.id == email_id)).one()


def enqueue_again(database: Database) -> None:
    """Enqueue e-mails that wait for a retry, as the sweep does after their delay."""
    with database.write() as session:
        session.execute(update(Email).values(not_before=0))
        outbox.enqueue_due_emails(session, limit=99)


def emails_of(database: Database, **by: object) -> Sequence[Email]:
    with database.read() as session:
        return session.scalars(select(Email).filter_by(**by).order_by(Email.part)).all()


def delivery(database: Database, order_id: UUID) -> Delivery:
    with database.read() as session:
        return session.scalars(select(Delivery).where(Delivery.order_id == order_id)).one()


def mailing(database: Database, mailing_id: UUID) -> Mailing:
    """Return the mailing after a sweep, which ends mailings."""
    with database.write() as session:
        mailings.finish_mailings(session)
        return session.scalars(select(Mailing).where(Mailing.id == mailing_id)).one()


def image_rows(database: Database, order_id: UUID) -> Sequence[Image]:
    with database.read() as session:
        return session.scalars(select(Image).where(Image.order_id == order_id).order_by(Image.position)).all()
