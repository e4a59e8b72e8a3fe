"""A weekly mailing to many, whose mailer and scheduler are killed; and an e-mail that does not wait for it."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, insert

from services.common.db.mail import mailings
from services.common.db.models import Mailing, Subscriber
from services.common.use_cases.newsletter_content import compose_content
from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet, kill_service
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.support.waiting import eventually

READERS = 150


def test_every_reader_is_reached_and_orders_pass(
    fleet: Fleet, customer: Customer, tell: Callable[[Line], None]
) -> None:
    leak_checks.calm(fleet, customer)  # no other e-mail is on its way that could be the one that is hit
    readers = [f"mailing{number}.{fleet.kind}@example.org" for number in range(READERS)]
    subscriber_ids = _subscribe(fleet, readers)
    before = len(fleet.sink.received)
    at = time.time()
    fleet.stages.arm("mailer-sent")
    mailing_id = _order(fleet)
    # After the server's 250, before the commit: the one moment at which a kill may repeat an e-mail.
    reached = fleet.stages.wait_reached("mailer-sent")
    kill_service(reached.pid)
    fleet.stages.disarm("mailer-sent")
    kill_service(fleet.one("scheduler"))
    # While the rest of the killed mailer's batch waits for its leases to run out, an order is blurred and mailed.
    settled = audit.settle(fleet, customer, customer.order())
    eventually(lambda: all(fleet.sink.to(reader) for reader in readers), within=60)
    eventually(lambda: _state(fleet, mailing_id) == "DONE", within=30)
    emails = {reader: fleet.sink.to(reader) for reader in readers}
    assert all(len({str(email.message["Message-ID"]) for email in got}) == 1 for got in emails.values())
    # Other tests have left subscribers, so the e-mail that was hit may be one of theirs.
    copies = Counter(str(email.message["Message-ID"]) for email in fleet.sink.received[before:])
    repeats = copies.total() - len(copies)
    # One for each connection that was between the two, of which one was held there.
    assert 1 <= repeats <= 2, reached
    _unsubscribe(fleet, subscriber_ids)
    leak_checks.calm(fleet, customer)
    seen = f"{READERS} of {READERS} reached, an order's e-mail meanwhile"
    tell(
        Line(
            "kill -9 mailer and scheduler",
            "weekly mailing, after a 250, before its commit",
            fleet.kind,
            seen,
            settled.at - at,
            repeats=repeats,
        )
    )


def _subscribe(fleet: Fleet, addresses: list[str]) -> list[UUID]:
    ids = [uuid4() for _ in addresses]
    rows = [
        {"id": id_, "email_key": address, "email": address, "locale": "en", "state": "CONFIRMED"}
        for id_, address in zip(ids, addresses, strict=True)
    ]
    with fleet.database.write() as session:
        session.execute(insert(Subscriber), rows)
    return ids


def _order(fleet: Fleet) -> UUID:
    """A mailing whose message was lost: the sweep sends it."""
    with fleet.database.write() as session:
        content = compose_content(session, datetime.now(UTC), None)
        mailing_id = mailings.insert_mailing(session, period=f"manual:{uuid4()}", due_at=1, content=content)
    assert mailing_id
    return mailing_id


def _state(fleet: Fleet, mailing_id: UUID) -> str:
    with fleet.database.read() as session:
        return session.get_one(Mailing, mailing_id).state


def _unsubscribe(fleet: Fleet, subscriber_ids: list[UUID]) -> None:
    """Other tests have mailings of their own; e-mails go with their readers."""
    with fleet.database.write() as session:
        session.execute(delete(Subscriber).where(Subscriber.id.in_(subscriber_ids)))
