"""Images with something to find: a queue and a window of their own, over one order or several."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import select

from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.db.operators import retries
from services.common.db.orders import image_claims, image_outcomes, orders, snapshots, windows
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import EndedClaim, Success
from services.common.db.queues import backlog, depths, find_models, outbox
from services.common.db.queues.find_models import RECENT_SECONDS
from services.common.domain.errors import Reason
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.orders import ImageQueue
from services.common.domain.spec import BlurSpec, Find, FindingKind
from tests.support.factories import PlacedOrder, new_images, place_order
from tests.support.findings import FACES, FIND_FACES, PLATES, announce, inspection

BLUR, FIND = ImageQueue.BLUR, ImageQueue.FIND
WINDOW = 4
SUCCESS = Success(size=1, sha256="ab", width=1, height=1, format="PNG")


def place(database: Database, *queues: ImageQueue, window: int = WINDOW) -> PlacedOrder:
    images_of = zip(new_images(count=len(queues)), queues, strict=True)
    new = [replace(image, queue=queue) for image, queue in images_of]
    return place_order(database, new, window=window)


def claim(database: Database, image_id: UUID, queue: ImageQueue) -> ImageClaim | None:
    with database.write() as session:
        return image_claims.claim(session, image_id, lease_seconds=60, queue=queue)


def finish(
    database: Database, claimed: ImageClaim | None, outcome: Success = SUCCESS, *, next_lease: float | None = None
) -> EndedClaim:
    assert claimed
    with database.write() as session:
        ended = image_outcomes.finish(session, claimed, outcome, window=WINDOW, next_lease=next_lease)
    assert ended
    return ended


def test_each_queue_has_a_window_of_its_own(database: Database) -> None:
    first = place(database, *[FIND] * 9)
    assert len(first.enqueued_ids) == 4, "alone"
    second = place(database, *[BLUR] * 9)
    assert len(second.enqueued_ids) == 4, "images that wait to be searched delay no others"
    third = place(database, *[BLUR] * 9, *[FIND] * 9)
    assert third.enqueued_ids == [*third.image_ids[:2], *third.image_ids[9:11]]


def test_the_end_of_an_image_makes_room_in_its_own_queue(database: Database) -> None:
    order = place(database, *[BLUR, FIND] * 6)
    blurs, finds = order.image_ids[::2], order.image_ids[1::2]
    ended = finish(database, claim(database, finds[0], FIND))
    assert [(image.id, image.queue) for image in ended.follow_up.images] == [(finds[4], FIND)]
    ended = finish(database, claim(database, blurs[0], BLUR))
    assert [(image.id, image.queue) for image in ended.follow_up.images] == [(blurs[4], BLUR)]


def test_an_image_is_claimed_from_its_own_queue_only(database: Database) -> None:
    order = place(database, FIND)
    assert claim(database, order.image_ids[0], BLUR) is None
    with database.read() as session:
        assert snapshots.get_snapshot(session, order.id).order.state == "QUEUED"
    claimed = claim(database, order.image_ids[0], FIND)
    assert claimed
    assert claimed.queue is FIND


def test_a_time_slice_stays_in_its_queue(database: Database) -> None:
    order = place(database, FIND, BLUR, FIND, BLUR, window=1)
    ended = finish(database, claim(database, order.image_ids[1], BLUR), next_lease=60)
    [next_claim] = ended.next_claims
    assert (next_claim.image_id, next_claim.queue) == (order.image_ids[3], BLUR)
    ended = finish(database, claim(database, order.image_ids[0], FIND), next_lease=60)
    [next_claim] = ended.next_claims
    assert (next_claim.image_id, next_claim.queue) == (order.image_ids[2], FIND)


def test_a_time_slice_ends_for_images_of_others_in_its_queue_only(database: Database) -> None:
    order = place(database, BLUR, BLUR, BLUR, window=1)
    place(database, FIND)
    ended = finish(database, claim(database, order.image_ids[0], BLUR), next_lease=60)
    [next_claim] = ended.next_claims
    place(database, BLUR)
    assert not finish(database, next_claim, next_lease=60).next_claims


def test_windows_of_both_queues_are_refilled(database: Database) -> None:
    order = place(database, *[BLUR, FIND] * 3, window=1)
    with database.write() as session:
        for queue in (BLUR, FIND):
            assert windows.list_orders_to_refill(session, queue, window=WINDOW, limit=9) == [order.id]
        assert orders.lock(session, order.id)
        refilled = windows.refill_all(session, order.id, WINDOW)
    assert {image.id: image.queue for image in refilled} == dict(
        zip(order.image_ids[2:], [BLUR, FIND, BLUR, FIND], strict=True)
    )


def test_operators_and_the_sweep_see_each_queue(database: Database) -> None:
    mixed, finds = place(database, BLUR, FIND), place(database, FIND)
    with database.read() as session:
        assert (depths.get_depth(session, "blur").waiting, depths.get_depth(session, "find").waiting) == (1, 2)
        assert outbox.list_unclaimed(session, Image, older_than=-9, limit=9, queue=BLUR) == [mixed.image_ids[0]]
        assert set(orders.list_open(session, FIND)) == {mixed.id, finds.id}
        assert orders.list_open(session, BLUR) == [mixed.id]
        ages = backlog.get_backlog(session).oldest_image
        assert set(ages) == set(ImageQueue)
    claimed = claim(database, mixed.image_ids[1], FIND)
    assert claimed
    with database.read() as session:
        assert depths.get_depth(session, "find").running == 1
        assert depths.get_depth(session, "blur").running == 0


def test_findings_are_stored_with_the_result(database: Database) -> None:
    order = place(database, FIND, BLUR)
    found = inspection(state=CheckState.REMAINING)
    finish(database, claim(database, order.image_ids[0], FIND), replace(SUCCESS, inspection=found))
    finish(database, claim(database, order.image_ids[1], BLUR))
    with database.read() as session:
        searched, blurred = session.scalars(select(Image).order_by(Image.position))
        assert Inspection.from_json(searched.findings or "") == found
        assert (searched.check_state, blurred.check_state, blurred.findings) == ("REMAINING", None, None)


def test_a_retry_of_an_image_stays_in_its_queue(database: Database) -> None:
    order = place(database, FIND)
    claimed = claim(database, order.image_ids[0], FIND)
    assert claimed
    with database.write() as session:
        assert image_outcomes.finish(session, claimed, image_outcomes.Failure(Reason.INTERNAL, "?"), window=WINDOW)
    with database.write() as session:
        retries.retry_image(session, order.image_ids[0])
        assert [image.queue for image in windows.refill_all(session, order.id, WINDOW)] == [FIND]


def test_models_that_workers_announce(database: Database) -> None:
    announce(database, FACES, PLATES)
    announce(database, FACES)
    with database.read() as session:
        assert find_models.list_available(session) == [PLATES, FACES]
        assert find_models.list_available(session, within_seconds=-60) == []


def test_an_image_waits_for_a_worker_only_if_there_is_one(database: Database) -> None:
    order_id = place(database, FIND).id
    custom = BlurSpec(find=(*FIND_FACES.find, Find(kind=FindingKind.CUSTOM, model="plates")))

    def may_wait(spec: BlurSpec) -> bool:
        with database.read() as session:
            return find_models.may_wait(session, order_id, spec.find)

    announce(database, FACES)
    assert may_wait(FIND_FACES)
    assert not may_wait(custom)
    announce(database, PLATES)
    assert may_wait(custom)
    with database.write() as session:
        order = session.get_one(Order, order_id)
        order.created_at -= (find_models.WAIT_SECONDS + 1) * 1_000_000
    assert not may_wait(custom), "perhaps no worker has both"
    assert RECENT_SECONDS < find_models.AVAILABLE_SECONDS
