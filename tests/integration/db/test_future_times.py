"""The database's clock was set back: pending work has times that are too far ahead."""

import pytest
from sqlalchemy import select, update

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_claims, windows
from services.common.db.queues import future_times, outbox
from services.common.domain.orders import ImageQueue, ImageState
from services.common.domain.retries import IMAGE_RETRIES
from tests.integration.db.conftest import Place

DAY = 86_400 * SECOND


def correct(database: Database) -> int:
    with database.write() as session:
        return future_times.correct(session)


def test_right_times_stay(database: Database, place: Place) -> None:
    _, ids, _ = place(2, window=2)
    with database.write() as session:
        assert image_claims.claim(session, ids[0], lease_seconds=60)
    assert correct(database) == 0


def test_a_lease_of_a_killed_worker_ends_soon(database: Database, place: Place) -> None:
    _, (image_id,), _ = place(1)
    with database.write() as session:
        image_claims.claim(session, image_id, lease_seconds=60)
        session.execute(update(Image).values(lease_until=Image.lease_until + DAY))
    assert [correct(database), correct(database)] == [1, 0]
    with database.read() as session:
        left = session.scalars(select(Image.lease_until - now())).one()
    assert left
    assert 0 < left <= future_times.GRACE * SECOND, "an owner that lives has time to renew it"


def test_a_lost_message_is_missed(database: Database, place: Place) -> None:
    _, ids, _ = place(1)
    with database.write() as session:
        session.execute(update(Image).values(enqueued_at=Image.enqueued_at + DAY))
    assert correct(database) == 1
    with database.read() as session:
        assert outbox.list_unclaimed(session, Image, older_than=-1, limit=9) == ids


@pytest.mark.parametrize(("ahead", "due"), [(IMAGE_RETRIES.longest_delay / 2, False), (3600, True)])
def test_an_image_that_is_tried_again_waits_no_longer_than_any_delay(
    database: Database, place: Place, *, ahead: float, due: bool
) -> None:
    order_id, _, _ = place(1)
    with database.write() as session:
        session.execute(
            update(Image).values(
                state=ImageState.QUEUED, enqueued_at=None, attempts=1, not_before=now() + int(ahead * SECOND)
            )
        )
        assert bool(windows.refill(session, order_id, ImageQueue.BLUR, 1)) == due
