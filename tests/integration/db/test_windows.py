"""Orders share the window: nobody is starved, and nothing stands idle."""

from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_claims, image_outcomes, orders, windows
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import Success
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue, fair_window
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE
from services.common.use_cases.after_commit import AfterCommit
from tests.integration.db.conftest import Place

WINDOW = 4
SUCCESS = Success(size=1, sha256="ab", width=1, height=1, format="PNG")


@pytest.mark.parametrize(("sharing", "share"), [(1, 4), (2, 2), (3, 2), (4, 1), (5, 1), (100, 1)])
def test_shares_of_a_window_of_four(sharing: int, share: int) -> None:
    assert fair_window(WINDOW, sharing) == share


def in_flight(database: Database, order_id: UUID) -> int:
    with database.read() as session:
        found = session.scalar(
            select(func.count()).select_from(Image).where(Image.order_id == order_id, windows.IN_FLIGHT)
        )
        return found or 0


def claim_first(database: Database, order_id: UUID) -> ImageClaim:
    """The next of an order's images in the queue, as a worker would take it."""
    with database.write() as session:
        image_id = session.scalars(
            select(Image.id)
            .where(Image.order_id == order_id, Image.state == "QUEUED", Image.enqueued_at.is_not(None))
            .order_by(Image.position)
        ).first()
        assert image_id
        claimed = image_claims.claim(session, image_id, lease_seconds=60)
        assert claimed
        return claimed


def finish_one(database: Database, order_id: UUID) -> FollowUp:
    claimed = claim_first(database, order_id)
    with database.write() as session:
        ended = image_outcomes.finish(session, claimed, SUCCESS, window=WINDOW)
        assert ended
        return ended.follow_up


def test_an_order_alone_has_the_window_and_newcomers_get_their_share(database: Database, place: Place) -> None:
    large, *_ = place(20, window=WINDOW)
    assert in_flight(database, large) == 4
    second, *_ = place(20, window=WINDOW)
    third, *_ = place(1, window=WINDOW)
    assert [in_flight(database, order) for order in (large, second, third)] == [4, 2, 1]


def test_a_large_order_gives_way_as_its_images_end(database: Database, place: Place) -> None:
    large, *_ = place(20, window=WINDOW)
    second, *_ = place(20, window=WINDOW)
    for expected in (3, 2, 2, 2):
        finish_one(database, large)
        assert in_flight(database, large) == expected
    finish_one(database, second)
    assert in_flight(database, second) == 2


def test_images_that_are_claimed_together_take_one_place(database: Database, place: Place) -> None:
    order_id, *_ = place(20, window=WINDOW)
    claimed = claim_first(database, order_id)
    with database.write() as session:
        ended = image_outcomes.finish(session, claimed, SUCCESS, window=WINDOW, next_lease=60, most_next=3)
    assert ended
    assert len(ended.next_claims) == 3
    assert len(finish_one(database, order_id).images) == 1, "others have work"
    assert in_flight(database, order_id) == 3 + 3


def test_many_orders_have_one_image_each_in_turn(database: Database, place: Place) -> None:
    many = [place(3, window=WINDOW)[0] for _ in range(8)]
    for order in many:
        while in_flight(database, order) > 1:
            finish_one(database, order)
    for order in many[3:]:
        assert len(finish_one(database, order).images) == 1


def test_what_small_orders_leave_of_a_window_is_not_left_empty(database: Database, place: Place) -> None:
    for _ in range(3):
        place(1, window=8)
    large, *_ = place(20, window=8)
    assert in_flight(database, large) == 5
    claimed = claim_first(database, large)
    with database.write() as session:
        assert image_outcomes.finish(session, claimed, SUCCESS, window=8)
    assert in_flight(database, large) == 5


def test_what_an_order_leaves_is_given_to_the_others_at_once(database: Database, place: Place, queues: Broker) -> None:
    waiting, *_ = place(20, window=1)
    others = [place(1, window=WINDOW)[0] for _ in range(3)]
    assert in_flight(database, waiting) == 1
    for order in others[:2]:
        assert finish_one(database, order).window_freed
    with database.write() as session:
        orders.cancel(session, others[2])
    after_commit = AfterCommit(database=database, broker=queues, window=WINDOW)
    after_commit.refill()
    assert in_flight(database, waiting) == 4
    assert len(queues.subjects(BLUR_QUEUE)) == 3
    after_commit.refill()
    assert len(queues.subjects(BLUR_QUEUE)) == 3


def test_an_order_that_waits_for_another_attempt_takes_no_share(database: Database, place: Place) -> None:
    troubled, *_ = place(1, window=WINDOW)
    claimed = claim_first(database, troubled)
    with database.write() as session:
        assert image_outcomes.release(session, claimed, crashed=True, window=WINDOW)
    assert in_flight(database, troubled) == 0
    other, *_ = place(20, window=WINDOW)
    assert in_flight(database, other) == 4
    with database.write() as session:
        session.execute(update(Image).where(Image.order_id == troubled).values(not_before=0))
    with database.read() as session:
        assert windows.list_orders_to_refill(session, ImageQueue.BLUR, window=WINDOW, limit=9) == [troubled]
