"""Claims, leases, windows and the ends of orders, on both databases."""

from uuid import UUID

import pytest
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import expiry, image_claims, image_outcomes, images, orders, snapshots, windows
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import EndedClaim, Failure, Success
from services.common.db.queues import outbox
from services.common.domain.errors import Reason
from services.common.domain.follow_up import EnqueuedImage, FollowUp
from services.common.domain.orders import ImageQueue, ImageState, OrderState
from services.common.domain.retries import MAX_ATTEMPTS
from tests.integration.db.conftest import Place
from tests.support.factories import end_retention

SUCCESS = Success(size=7, sha256="00" * 32, width=1, height=2, format="JPEG")
FAILURE = Failure(Reason.CORRUPT, "the file ends early")


def claim(database: Database, image_id: UUID, lease: float = 60) -> ImageClaim | None:
    with database.write() as session:
        return image_claims.claim(session, image_id, lease_seconds=lease)


def must_claim(database: Database, image_id: UUID, lease: float = 60) -> ImageClaim:
    claimed = claim(database, image_id, lease)
    assert claimed
    return claimed


def enqueue_again(database: Database, order_id: UUID) -> None:
    """As the sweep does after an image's delay."""
    with database.write() as session:
        session.execute(update(Image).values(not_before=0))
        orders.lock(session, order_id)
        windows.refill(session, order_id, ImageQueue.BLUR, 1)


def finish(database: Database, claimed: ImageClaim, outcome: Success | Failure = SUCCESS) -> EndedClaim | None:
    with database.write() as session:
        return image_outcomes.finish(session, claimed, outcome, window=2)


def state(database: Database, order_id: UUID) -> tuple[str, int, int, int]:
    with database.read() as session:
        snapshot = snapshots.get_snapshot(session, order_id)
        return snapshot.order.state, snapshot.running, snapshot.order.succeeded, snapshot.order.failed


def test_only_a_window_is_enqueued_and_it_moves_on(database: Database, place: Place) -> None:
    order_id, ids, queued = place(3, window=2)
    assert queued == ids[:2]
    ended = finish(database, must_claim(database, ids[0]))
    assert ended
    assert ended.follow_up.images == [EnqueuedImage(ids[2], ImageQueue.BLUR)]
    assert state(database, order_id) == ("RUNNING", 0, 1, 0)


def test_the_next_image_is_claimed_with_the_end_of_one_unless_another_order_waits(
    database: Database, place: Place
) -> None:
    order_id, ids, _ = place(4, window=2)

    def finish_and_go_on(claimed: ImageClaim) -> EndedClaim:
        with database.write() as session:
            ended = image_outcomes.finish(session, claimed, SUCCESS, window=2, next_lease=60)
            assert ended
            return ended

    ended = finish_and_go_on(must_claim(database, ids[0]))
    [next_claim] = ended.next_claims  # its own second image, which waits in the queue, is not another order's
    assert (next_claim.image_id, next_claim.attempts) == (ids[2], 1)
    assert ended.follow_up.images == ()
    assert state(database, order_id) == ("RUNNING", 1, 1, 0)
    assert claim(database, ids[2]) is None, "it is taken"
    other, other_ids, _ = place(1, window=1)
    assert finish_and_go_on(next_claim).follow_up.images == [], "the other has its share"
    ended = finish_and_go_on(must_claim(database, ids[1]))
    assert not ended.next_claims
    assert ended.follow_up.images == [EnqueuedImage(ids[3], ImageQueue.BLUR)]
    theirs = must_claim(database, other_ids[0])
    assert not finish_and_go_on(must_claim(database, ids[3])).next_claims, "all are sent"
    assert finish_and_go_on(theirs).follow_up.ended_order_ids == [other]
    assert state(database, other)[0] == "SUCCEEDED"


def test_images_are_ended_and_claimed_together(database: Database, place: Place) -> None:
    order_id, ids, _ = place(20, window=2)

    def finish_all(*claims: ImageClaim) -> list[EndedClaim | None]:
        with database.write() as session:
            return image_outcomes.finish_all(
                session, [(each, SUCCESS) for each in claims], window=2, next_lease=60, most_next=4
            )

    [ended] = finish_all(must_claim(database, ids[0]))
    assert ended
    claims = ended.next_claims
    assert [(each.image_id, each.attempts) for each in claims] == [(image_id, 1) for image_id in ids[2:6]]
    assert all(claim(database, each.image_id) is None for each in claims), "they are taken"
    with database.write() as session:
        released = image_outcomes.release(session, claims[3], crashed=False, counted=False, begun=False, window=9)
    assert released
    sent = [image.id for image in released.follow_up.images]
    assert ids[5] in sent, "what was not begun need not wait"
    again = must_claim(database, ids[5])
    assert again.attempts == 1, "nor does it count"
    first, lost, *others = finish_all(claims[0], claims[3], claims[1], again)
    assert lost is None, "its claim is another one by now"
    assert first
    assert first == EndedClaim(follow_up=FollowUp(), image_state=ImageState.SUCCEEDED, surplus_keys=first.surplus_keys)
    assert all(each and each.image_state is ImageState.SUCCEEDED for each in (first, *others))
    counted = state(database, order_id)
    assert counted[2:] == (4, 0)
    assert finish_all(claims[0], claims[3]) == [None, None]
    assert state(database, order_id) == counted


def test_few_images_are_left_to_other_workers_and_those_attempted_before_come_alone(
    database: Database, place: Place
) -> None:
    _, ids, _ = place(8, window=2)
    with database.write() as session:
        session.execute(update(Image).where(Image.id == ids[3]).values(attempts=1))
    claimed = must_claim(database, ids[0])
    with database.write() as session:
        ended = image_outcomes.finish(session, claimed, SUCCESS, window=2, next_lease=60, most_next=4)
    assert ended
    assert [each.image_id for each in ended.next_claims] == [ids[2], ids[4], ids[5]], "half of the seven that are left"


def test_an_outage_is_not_the_image_s_fault(database: Database, place: Place) -> None:
    order_id, (image_id,), _ = place(1)
    for _ in range(MAX_ATTEMPTS + 2):
        claimed = must_claim(database, image_id)
        assert claimed.attempts == 1
        with database.write() as session:
            image_outcomes.release(session, claimed, crashed=False, counted=False, window=2)
        enqueue_again(database, order_id)
    assert state(database, order_id)[0] == "RUNNING"


def test_a_released_image_waits_and_the_sweep_finds_it_afterwards(database: Database, place: Place) -> None:
    order_id, (image_id,), _ = place(1)
    claimed = must_claim(database, image_id)
    with database.write() as session:
        ended = image_outcomes.release(session, claimed, crashed=False, window=2)
    assert ended == EndedClaim(follow_up=FollowUp(images=[], changed_order_ids=[order_id]))
    with database.read() as session:
        assert windows.list_orders_to_refill(session, ImageQueue.BLUR, window=2, limit=9) == []
    with database.write() as session:
        session.execute(update(Image).values(not_before=0))
    with database.read() as session:
        assert windows.list_orders_to_refill(session, ImageQueue.BLUR, window=2, limit=9) == [order_id]


def test_what_the_broker_lost_is_found_by_age(database: Database, place: Place) -> None:
    _, ids, _ = place(3, window=2)
    with database.write() as session:
        assert outbox.list_unclaimed(session, Image, older_than=60, limit=9) == []
        assert set(outbox.list_unclaimed(session, Image, older_than=-1, limit=9)) == set(ids[:2])
        assert set(outbox.enqueue_again(session, Image, ids)) == set(ids[:2])


def test_a_watcher_sees_every_change_after_its_revision(database: Database, place: Place) -> None:
    order_id, ids, _ = place(2)
    with database.read() as session:
        revision = snapshots.get_snapshot(session, order_id).order.revision
    finish(database, must_claim(database, ids[1]))
    with database.read() as session:
        changed = images.list_changed(session, order_id, revision)
    assert [image.id for image in changed] == [ids[1]]


def test_expiry_counts_from_the_end_and_forgets_the_address(database: Database, place: Place) -> None:
    order_id, (image_id,), _ = place(1)
    finish(database, must_claim(database, image_id))
    with database.read() as session:
        order = snapshots.get_snapshot(session, order_id).order
        assert order.finished_at
        assert order.expires_at - order.finished_at == pytest.approx(3600 * 1_000_000, abs=1_000_000)
        assert expiry.list_due_to_expire(session, limit=9) == []
    with database.write() as session:
        assert expiry.expire(session, order_id).ended_order_ids == [], "it is not due"
        end_retention(session, order_id, state=OrderState.RUNNING)
        assert expiry.expire(session, order_id).ended_order_ids == [], "it is blurred again"
        end_retention(session, order_id, state=OrderState.SUCCEEDED)
        assert expiry.expire(session, order_id).ended_order_ids == [order_id]
        assert expiry.expire(session, order_id).ended_order_ids == []
    with database.read() as session:
        order = snapshots.get_snapshot(session, order_id).order
    assert (order.state, order.email) == ("EXPIRED", None)
