"""The sweep and the weekly mailing over real database, blobs and broker."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from services.common.db.clock import now
from services.common.db.engine import Database
from services.common.db.models import Image, Installation, Mailing, Order, UnownedBlobs
from services.common.db.operators import retries
from services.common.db.orders import image_claims, snapshots, unowned_blobs
from services.common.domain.orders import original_key, result_key
from services.common.domain.retries import MAX_ATTEMPTS
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE, MAILING_QUEUE, blur_image
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour
from tests.integration.db.conftest import Place, place
from tests.support.files import files_below

__all__ = ["place"]

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def sweep(database: Database, blobs: BlobStore, queues: Broker) -> Sweep:
    return Sweep(database, blobs, queues, window=2)


@pytest.fixture
def age(database: Database) -> Callable[[], None]:
    """Makes everything in the queue look old."""

    def age() -> None:
        with database.write() as session:
            session.execute(update(Image).where(Image.enqueued_at.is_not(None)).values(enqueued_at=1))

    return age


def test_what_the_broker_lost_is_sent_again_once(
    sweep: Sweep, queues: Broker, place: Place, age: Callable[[], None]
) -> None:
    place(5, window=2)
    sweep.images()
    assert len(queues.subjects(BLUR_QUEUE)) == 0, "too young to be missed"
    age()
    for _ in range(2):
        sweep.images()
        assert len(queues.subjects(BLUR_QUEUE)) == 2


def test_a_mere_backlog_is_not_repeated(sweep: Sweep, queues: Broker, place: Place, age: Callable[[], None]) -> None:
    _, _, queued = place(5, window=2)
    queues.send(map(blur_image, queued))
    age()
    sweep.images()
    assert len(queues.subjects(BLUR_QUEUE)) == 2


def test_a_lost_message_is_missed_however_many_others_there_are(
    sweep: Sweep, queues: Broker, place: Place, age: Callable[[], None]
) -> None:
    _, _, (there, lost) = place(5, window=2)
    queues.send([blur_image(there)] * 5)
    age()
    sweep.images()
    assert sorted(queues.subjects(BLUR_QUEUE)) == sorted([str(there)] * 5 + [str(lost)])


def test_an_image_of_a_dead_worker_is_taken_back_and_tried_again(
    sweep: Sweep, database: Database, queues: Broker, place: Place
) -> None:
    order_id, (image_id,), _ = place(1)
    with database.write() as session:
        image_claims.claim(session, image_id, lease_seconds=-1)
    sweep.images()
    with database.write() as session:
        assert session.get_one(Image, image_id).state == "QUEUED"
        session.execute(update(Image).values(not_before=0))
    revision = orders_revision(database, order_id)
    sweep.images()
    assert len(queues.subjects(BLUR_QUEUE)) == 1
    sweep.images()
    assert orders_revision(database, order_id) == revision + 1, "an idle sweep changes nothing"


def test_an_image_that_no_worker_finishes_ends_and_keeps_its_original_until_it_is_dismissed(
    sweep: Sweep, database: Database, blobs: BlobStore, place: Place
) -> None:
    order_id, (image_id,), _ = place(1)
    blobs.put(original_key(order_id, 1), b"original")
    with database.write() as session:
        session.execute(update(Image).values(attempts=MAX_ATTEMPTS - 1))
        image_claims.claim(session, image_id, lease_seconds=-1)
    sweep.images()
    with database.read() as session:
        assert session.get_one(Image, image_id).state == "FAILED"
    with database.write() as session:
        session.execute(update(Image).values(finished_at=1))
    sweep.blobs_of_ended_images()
    assert blobs.get(original_key(order_id, 1)), "it may be tried again"
    with database.write() as session:
        assert retries.dismiss_image(session, image_id) == (order_id, 1)
    sweep.blobs_of_ended_images()
    with pytest.raises(MissingBlob):
        blobs.get(original_key(order_id, 1))


def orders_revision(database: Database, order_id: object) -> int:
    with database.read() as session:
        return session.get_one(Order, order_id).revision


def test_an_expired_order_loses_its_blobs_and_its_address(
    sweep: Sweep, database: Database, blobs: BlobStore, place: Place
) -> None:
    order_id, _, _ = place(1)
    blobs.put(original_key(order_id, 1), b"original")
    blobs.put(result_key(order_id, 1), b"result")
    with database.write() as session:
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=1, finished_at=1, expires_at=1))
    sweep.expired()
    with database.read() as session:
        order = snapshots.get_snapshot(session, order_id).order
        # To be removed again when no worker can be left that has its image.
        assert session.query(UnownedBlobs).one().state == "REMOVED"
    assert (order.state, order.email) == ("EXPIRED", None)
    folder = blobs.local_path("orders")
    assert folder
    assert files_below(folder) == []


def test_blobs_of_a_broken_upload_are_removed_and_those_of_a_live_one_kept(
    sweep: Sweep, database: Database, blobs: BlobStore
) -> None:
    broken, live = uuid4(), uuid4()
    with database.write() as session:
        for order_id in (broken, live):
            unowned_blobs.insert_upload(session, order_id)
            blobs.put(original_key(order_id, 1), b"x")
        session.execute(update(UnownedBlobs).where(UnownedBlobs.order_id == broken).values(heartbeat_at=1))
    sweep.blobs_without_order()
    assert blobs.get(original_key(live, 1)) == b"x"
    path = blobs.local_path(original_key(broken, 1))
    assert path
    assert not path.exists()


def test_the_weekly_mailing_is_ordered_once_by_many_schedulers(database: Database, queues: Broker) -> None:
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=0))
    schedulers = [StartMailings(database, queues, WeeklyHour("mon", 12, ZoneInfo("UTC"))) for _ in range(3)]
    ordered = [
        scheduler.start_weekly(MONDAY + timedelta(hours=hours)) for hours in (-1, 0, 1, 30) for scheduler in schedulers
    ]
    assert sum(mailing is not None for mailing in ordered) == 1
    assert len(queues.subjects(MAILING_QUEUE)) == 1
    with database.read() as session:
        assert session.query(Mailing).one().period == "2026-W48"


def test_a_fresh_installation_sends_nothing_for_the_past(database: Database, queues: Broker) -> None:
    mailings = StartMailings(database, queues, WeeklyHour("mon", 12, ZoneInfo("UTC")))
    assert mailings.start_weekly(MONDAY) is None


def test_blobs_that_no_order_owns_are_removed_once_more_when_no_worker_can_be_left(
    sweep: Sweep, database: Database, blobs: BlobStore
) -> None:
    order_id = uuid4()
    with database.write() as session:
        unowned_blobs.mark_for_removal(session, order_id)
    sweep.blobs_without_order()
    blobs.put(result_key(order_id, 1), b"stored by a worker that had not noticed yet")
    sweep.blobs_without_order()
    assert blobs.get(result_key(order_id, 1))
    with database.write() as session:
        session.execute(update(UnownedBlobs).values(check_again_at=1))
    sweep.blobs_without_order()
    with pytest.raises(MissingBlob):
        blobs.get(result_key(order_id, 1))
    with database.read() as session:
        assert session.query(UnownedBlobs).count() == 0


@pytest.mark.parametrize("ending", [("SUCCEEDED", 1), ("FAILED", 0), ("CANCELLED", 0)])
def test_what_a_killed_worker_left_of_an_ended_image_is_removed(
    sweep: Sweep, database: Database, blobs: BlobStore, place: Place, ending: tuple[str, int]
) -> None:
    state, results_kept = ending
    order_id, (image_id,), _ = place(1)
    blobs.put(original_key(order_id, 1), b"original")
    blobs.put(result_key(order_id, 1), b"result")
    with database.write() as session:
        ended = update(Image).values(state=state, reason="CORRUPT", finished_at=now())
        session.execute(ended)
    sweep.blobs_of_ended_images()
    assert blobs.get(original_key(order_id, 1)), "a worker may still be at it"
    with database.write() as session:
        session.execute(update(Image).values(finished_at=1))
    sweep.blobs_of_ended_images()
    folder = blobs.local_path(f"orders/{order_id}")
    assert folder
    assert [path.parent.name for path in files_below(folder)] == ["result"] * results_kept
    with database.read() as session:
        assert session.get_one(Image, image_id).cleaned_up
