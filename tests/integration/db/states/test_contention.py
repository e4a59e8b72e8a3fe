"""Many do everything at once to the same few orders, on both databases: nobody is stuck, and nothing is done twice."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails
from services.common.db.models import Email, Image, UnownedBlobs
from services.common.db.orders import expiry, image_claims, image_outcomes, orders, unowned_blobs, windows
from services.common.db.queues import outbox
from services.common.domain.orders import DeliveryState, ImageQueue, OrderState
from tests.integration.db.conftest import Place
from tests.integration.db.states.invariants import DELIVERY, EMAIL, IMAGE, check_moment, open_in
from tests.integration.db.states.order_machine import FAILURE, SUCCESS
from tests.integration.db.states.rows import read_rows
from tests.support.factories import PlacedOrder, end_retention, new_images, place_order

WINDOW, THREADS, STEPS = 3, 6, 40
HASTY = 0.005
"""A lease that often runs out under whoever holds it."""


class Crowd:
    """What each of many may do next; whatever they do, they do to the same rows."""

    def __init__(self, database: Database, order_ids: list[UUID]) -> None:
        self.database = database
        self.order_ids = order_ids
        self.finishes: Counter[UUID] = Counter()
        self.emails_sent: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    def act(self, seed: int) -> None:
        chance = random.Random(seed)
        audit_contexts = [
            self.work,
            self.work,
            self.work,
            self.send,
            self.send,
            self.sweep,
            self.resend,
            self.ask,
            self.renew,
        ]
        for _ in range(STEPS):
            chance.choice(audit_contexts)(chance)
        if seed == 0:
            with self.database.write() as session:
                orders.cancel(session, self.order_ids[0])

    def work(self, chance: random.Random) -> None:
        with self.database.read() as session:
            enqueued = select(Image.id, Image.queue).where(Image.state == "QUEUED", Image.enqueued_at.is_not(None))
            ids = session.execute(enqueued).all()
        if not ids:
            return
        image_id, queue = chance.choice(ids)
        with self.database.write() as session:
            claim = image_claims.claim(
                session, image_id, lease_seconds=chance.choice([HASTY, 60]), queue=ImageQueue(queue)
            )
        if claim is None:
            return
        outcome = SUCCESS if chance.random() < 0.7 else FAILURE
        for _ in range(2):  # the second time as one who did not hear the first answer
            with self.database.write() as session:
                if chance.random() < 0.2:
                    image_outcomes.release(session, claim, crashed=False, window=WINDOW)
                    continue
                done = image_outcomes.finish(session, claim, outcome, window=WINDOW)
            self._count(self.finishes, image_id, done is not None)

    def send(self, chance: random.Random) -> None:
        with self.database.read() as session:
            ids = session.scalars(select(Email.id).where(Email.state == "QUEUED")).all()
        if not ids:
            return
        email_id = chance.choice(ids)
        with self.database.write() as session:
            claim = emails.claim_email(session, email_id, lease_seconds=chance.choice([HASTY, 60]))
        if claim is None:
            return
        with self.database.write() as session:
            emails.insert_missing_parts(session, claim, 3)
        with self.database.write() as session:
            if chance.random() < 0.3:
                emails.retry_later(session, claim, delay=0, message="451 later")
                return
            sent = emails.finish_sent(session, claim, smtp_reply="250 ok")
        self._count(self.emails_sent, email_id, sent)

    def sweep(self, _chance: random.Random) -> None:
        with self.database.read() as session:
            lapsed = outbox.list_expired_image_claims(session, limit=9)
            lapsed_emails = outbox.list_expired_email_claims(session, limit=9)
            underfilled = {
                order_id
                for queue in ImageQueue
                for order_id in windows.list_orders_to_refill(session, queue, window=WINDOW, limit=9)
            }
        for claim in lapsed:
            self._write(partial(image_outcomes.release_expired, claimed=claim, window=WINDOW))
        for email in lapsed_emails:
            self._write(partial(emails.release_expired, claim=email))
        for order_id in underfilled:
            with self.database.write() as session:
                if orders.lock(session, order_id):
                    windows.refill_all(session, order_id, WINDOW)

    def resend(self, _chance: random.Random) -> None:
        self._write(lambda session: session.execute(update(Image).where(Image.not_before > 1).values(not_before=1)))
        self._write(
            lambda session: outbox.enqueue_again(
                session, Image, outbox.list_unclaimed(session, Image, older_than=0, limit=99)
            )
        )
        self._write(lambda session: outbox.enqueue_due_emails(session, limit=99))
        self._write(
            lambda session: outbox.enqueue_again(
                session, Email, outbox.list_unclaimed(session, Email, older_than=0, limit=99)
            )
        )

    def ask(self, chance: random.Random) -> None:
        with self.database.write() as session:
            order = orders.lock(session, chance.choice(self.order_ids))
            if order is None or deliveries.find_open(session, order.id):
                return
            if OrderState(order.state).open:
                deliveries.insert_delivery(session, order.id, DeliveryState.WAITING)
            elif order.state != OrderState.CANCELLED:
                delivery = deliveries.insert_delivery(session, order.id, DeliveryState.QUEUED)
                deliveries.insert_email(session, delivery.id)

    def renew(self, _chance: random.Random) -> None:
        with self.database.read() as session:
            owners = session.scalars(select(Image.owner).where(Image.owner.is_not(None))).all()
            senders = session.scalars(select(Email.owner).where(Email.owner.is_not(None))).all()
        self._write(
            lambda session: image_claims.renew_claims(
                session, [owner for owner in owners if owner], lease_seconds=HASTY
            )
        )
        self._write(
            lambda session: emails.renew_leases(session, [owner for owner in senders if owner], lease_seconds=HASTY)
        )

    def _write(self, statement: Callable[[Session], object]) -> None:
        with self.database.write() as session:
            statement(session)

    def _count(self, counter: Counter[UUID], key: UUID, happened: bool) -> None:
        with self._lock:
            counter[key] += happened


def place_mixed(database: Database) -> PlacedOrder:
    """Place an order of which every third image has something to find."""
    queues = [ImageQueue.FIND if n % 3 == 0 else ImageQueue.BLUR for n in range(12)]
    new = [replace(image, queue=queue) for image, queue in zip(new_images(count=12), queues, strict=True)]
    return place_order(database, new, window=WINDOW, notify=True)


def test_a_crowd_at_the_same_orders(database: Database) -> None:
    crowd = Crowd(database, [place_mixed(database).id for _ in range(3)])
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(crowd.act, range(THREADS)))
    with database.write() as session:
        session.execute(update(Image).where(Image.owner.is_not(None)).values(lease_until=1))
        session.execute(update(Email).where(Email.owner.is_not(None)).values(lease_until=1))
    chance = random.Random(0)
    # Each round begins some of what is left, at the least; attempts are bounded, and so are the rounds.
    for _ in range(400):
        rows = read_rows(database)
        if not any(open_in(IMAGE, image) for image in rows.images.values()) and not any(
            open_in(EMAIL, email) for email in rows.emails.values()
        ):
            break
        crowd.sweep(chance)
        crowd.resend(chance)
        crowd.work(chance)
        crowd.send(chance)
    check_moment(rows, window=WINDOW)
    assert not any(open_in(IMAGE, image) for image in rows.images.values())
    assert not any(open_in(DELIVERY, delivery) for delivery in rows.deliveries.values())
    assert max(crowd.finishes.values()) == max(crowd.emails_sent.values()) == 1
    sent = {email.id for email in rows.emails.values() if email.state == "SENT"}
    assert sent == {email_id for email_id, count in crowd.emails_sent.items() if count}


def test_statements_over_many_orders_wait_for_nobody(database: Database, place: Place) -> None:
    """Who waits for a row while holding others may deadlock with one who cancels an order."""
    if database.is_sqlite:
        pytest.skip("it has one writer at a time")
    _, (running, queued, free), _ = place(3, window=3)
    with database.write() as session:
        claim = image_claims.claim(session, running, lease_seconds=60)
    assert claim
    with database.write() as busy:
        busy.execute(update(Image).where(Image.id.in_([running, queued])).values(filename="changed.jpg"))
        with database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '5s'"))
            assert outbox.enqueue_again(session, Image, [queued, free]) == [free]
            image_claims.renew_claims(session, [claim.owner], lease_seconds=60)


def test_many_find_an_order_gone_at_once(database: Database) -> None:
    for order_id in [uuid4() for _ in range(20)]:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _, order_id=order_id: _disown(database, order_id), range(8)))


def _disown(database: Database, order_id: UUID) -> None:
    with database.write() as session:
        unowned_blobs.mark_for_removal(session, order_id)


def test_many_expire_the_same_orders_at_once(database: Database) -> None:
    order_ids = [place_order(database, 1).id for _ in range(20)]
    with database.write() as session:
        end_retention(session, *order_ids, state=OrderState.CANCELLED)
    with ThreadPoolExecutor(4) as pool:
        expired = list(pool.map(lambda seed: _expire(database, seed, order_ids), range(8)))
    assert Counter(order_id for each in expired for order_id in each) == Counter(order_ids)
    with database.read() as session:
        assert session.scalars(select(UnownedBlobs.state)).all() == ["REMOVED"] * 20


def _expire(database: Database, seed: int, order_ids: list[UUID]) -> list[UUID]:
    mixed = random.Random(seed).sample(order_ids, len(order_ids))
    with database.write() as session:
        expired = expiry.expire(session, *mixed).ended_order_ids
        unowned_blobs.mark_for_removal(session, *expired)
    with database.write() as session:
        unowned_blobs.mark_removed(session, *mixed)
    return list(expired)


def test_an_expiry_waits_for_nobody(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("it has one writer at a time")
    held, free = place_order(database, 1).id, place_order(database, 1).id
    with database.write() as session:
        end_retention(session, held, free, state=OrderState.CANCELLED)
    with database.write() as busy:
        assert orders.lock(busy, held)
        with database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '5s'"))
            assert expiry.expire(session, held, free).ended_order_ids == [free]
