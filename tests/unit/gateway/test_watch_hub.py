"""The poll for changes whose hints were lost: it has a feed read only if the order has changed."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import pytest

from services.common.db.models import Image, Order
from services.common.db.orders.snapshots import Snapshot
from services.gateway.orders.reading import order_feed, watch_hub
from services.gateway.orders.reading.order_reader import OrderChanges
from services.gateway.orders.reading.watch_hub import WatchHub
from tests.support.event_loop import settle

FOREVER = 3600.0
ORDER = uuid4()


class Polled:
    """Rows whose revisions are read while a test does something else."""

    def __init__(self) -> None:
        self.revision = 1
        self.reads = 0
        self.asked: list[Sequence[UUID]] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def changes(self, order_id: UUID, _after: int) -> OrderChanges:
        self.reads += 1
        order = Order(id=order_id, revision=self.revision)
        return OrderChanges(Snapshot(order=order, running=0, deliveries=(), read_at=0), list[Image]())

    async def revisions(self, order_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        found = dict.fromkeys(order_ids, self.revision)
        self.asked.append(order_ids)
        self.begun.set()
        await self.go_on.wait()
        return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_feed, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(order_feed, "GAP_SECONDS", 0)
    monkeypatch.setattr(watch_hub, "POLL_SECONDS", 0)


async def poll(hub: WatchHub, rows: Polled, monkeypatch: pytest.MonkeyPatch) -> "asyncio.Task[None]":
    """Begin to poll once; what was read is compared when `go_on` is set."""
    polling = asyncio.create_task(hub._poll())
    await rows.begun.wait()
    monkeypatch.setattr(watch_hub, "POLL_SECONDS", FOREVER)
    return polling


def test_an_order_that_is_watched_since_the_poll_began_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        rows = Polled()
        hub = WatchHub("redis://127.0.0.1:1", rows.changes, rows.revisions)
        polling = await poll(hub, rows, monkeypatch)
        watch = hub.watch(ORDER, 0)
        await anext(watch)
        rows.go_on.set()
        await settle()
        assert (rows.asked, rows.reads) == ([[]], 1)
        polling.cancel()
        await watch.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("hinted", [False, True])
def test_a_change_is_read_once_whether_its_hint_came_or_was_lost(monkeypatch: pytest.MonkeyPatch, hinted: bool) -> None:
    async def run() -> None:
        rows = Polled()
        hub = WatchHub("redis://127.0.0.1:1", rows.changes, rows.revisions)
        watch = hub.watch(ORDER, 0)
        await anext(watch)
        if not hinted:
            rows.revision = 2
        polling = await poll(hub, rows, monkeypatch)
        if hinted:  # while the poll has the revision before
            rows.revision = 2
            hub._hint(True, ORDER.bytes)
            await settle()
        rows.go_on.set()
        assert (await anext(watch)).revision == 2
        await settle()
        assert rows.reads == 2
        polling.cancel()
        await watch.aclose()

    asyncio.run(run())
