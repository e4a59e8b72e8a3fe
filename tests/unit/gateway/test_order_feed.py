"""A feed: read when hinted, at most every so often, at once at an end, and once for all who watch."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from services.common.db.models import Image, Order
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.errors import NotFound, Unavailable
from services.gateway.orders.reading import order_feed as module
from services.gateway.orders.reading.order_feed import KEPT_CHANGES, OrderFeed
from services.gateway.orders.reading.order_reader import OrderChanges
from tests.support.event_loop import settle

ORDER = uuid4()
FOREVER = 3600.0


def changed(revision: int, *images: int) -> OrderChanges:
    """An order at a revision, with images (by position) that changed at it."""
    order = Order(id=ORDER, revision=revision)
    snapshot = Snapshot(order=order, running=0, deliveries=(), read_at=0)
    return OrderChanges(snapshot, [Image(id=UUID(int=n), position=n, revision=revision) for n in images])


def positions(found: OrderChanges | None) -> Sequence[tuple[int, int]]:
    assert found
    return [(image.position, image.revision) for image in found.images]


class Rows:
    """What a feed reads: the order after so many changes."""

    def __init__(self) -> None:
        self.revision = 1
        self.reads: list[int] = []
        self.error: Exception | None = None

    async def read(self, order_id: UUID, after: int) -> OrderChanges:
        assert order_id == ORDER
        self.reads.append(after)
        if self.error:
            raise self.error
        return changed(self.revision, self.revision)

    def change(self) -> None:
        self.revision += 1


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0)
    return Rows()


def test_it_reads_only_when_hinted_and_waits_between(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", FOREVER)

    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        await settle()
        assert rows.reads == []
        rows.change()
        feed.hint(urgent=False)
        await settle()
        assert (rows.reads, feed.revision) == ([1], 2)
        rows.change()
        feed.hint(urgent=False)
        await settle()
        assert rows.reads == [1], "read again within the gap"
        feed.hint(urgent=True)
        await settle()
        assert (rows.reads, feed.revision) == ([1, 2], 3)
        feed.close()

    asyncio.run(run())


def test_an_end_is_told_with_what_came_just_before_it(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", FOREVER)

    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        rows.change()
        feed.hint(urgent=False)
        await settle()
        assert rows.reads == []
        rows.change()
        feed.hint(urgent=True)
        await asyncio.wait_for(feed.wait_newer(2), 5)
        assert rows.reads == [1]
        feed.close()

    asyncio.run(run())


def test_a_hint_in_the_gap_is_followed_after_it(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 0.01)

    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        for _ in range(2):
            rows.change()
            feed.hint(urgent=False)
            await settle()
        await asyncio.wait_for(feed.wait_newer(2), 5)
        assert rows.reads == [1, 2]
        feed.close()

    asyncio.run(run())


def test_a_watcher_gets_all_that_it_missed_and_nothing_twice(rows: Rows) -> None:
    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        for revision in (2, 3, 4):
            rows.change()
            feed.hint(urgent=True)
            await asyncio.wait_for(feed.wait_newer(revision - 1), 5)
        assert positions(feed.since(1)) == [(2, 2), (3, 3), (4, 4)]
        assert positions(feed.since(3)) == [(4, 4)]
        assert feed.since(4) is None
        feed.close()

    asyncio.run(run())


def test_a_watcher_that_is_too_far_behind_has_to_look_for_itself(rows: Rows) -> None:
    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        for revision in range(2, KEPT_CHANGES + 3):
            rows.change()
            feed.hint(urgent=True)
            await asyncio.wait_for(feed.wait_newer(revision - 1), 5)
        assert feed.since(1) is None
        assert len(positions(feed.since(2))) == KEPT_CHANGES
        feed.close()

    asyncio.run(run())


def test_an_order_that_is_gone_sends_its_watchers_away(rows: Rows) -> None:
    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        waiting = [asyncio.create_task(feed.wait_newer(1)) for _ in range(3)]
        rows.error = NotFound("order", str(ORDER))
        feed.hint(urgent=True)
        assert all(isinstance(e, NotFound) for e in await asyncio.gather(*waiting, return_exceptions=True))
        with pytest.raises(NotFound):
            await feed.wait_newer(1)
        feed.close()

    asyncio.run(run())


@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("a fault")])
def test_a_reading_that_fails_is_made_up_for_at_the_next_hint(rows: Rows, error: Exception) -> None:
    async def run() -> None:
        feed = OrderFeed(ORDER, rows.read)
        feed.start(1)
        waiting = asyncio.create_task(feed.wait_newer(1))
        rows.change()
        rows.error = error
        feed.hint(urgent=True)
        await settle()
        assert not waiting.done()
        rows.error = None
        feed.hint(urgent=True)
        await asyncio.wait_for(waiting, 5)
        feed.close()

    asyncio.run(run())


def test_an_image_that_changed_twice_is_told_as_it_is_now() -> None:
    answers = iter([changed(2, 7), changed(3, 7)])

    async def read(_: UUID, __: int) -> OrderChanges:
        return next(answers)

    async def run() -> None:
        feed = OrderFeed(ORDER, read)
        feed.start(1)
        for revision in (1, 2):
            feed.hint(urgent=True)
            await asyncio.wait_for(feed.wait_newer(revision), 5)
        assert positions(feed.since(1)) == [(7, 3)]
        feed.close()

    asyncio.run(run())
