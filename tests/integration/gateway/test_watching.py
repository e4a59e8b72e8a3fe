"""Watching orders over a real gateway, broker and database."""

import threading
from collections.abc import Callable, Iterator
from uuid import UUID

import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.engine import Database
from services.common.db.orders import orders
from services.common.infra.messaging.broker import Broker
from services.gateway.orders.reading.order_reader import OrderReader
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import order
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

SECOND_READING = 2


class Watcher:
    """A watch in a thread: the revisions that came, and the error that ended it."""

    def __init__(self, gateway: Gateway, order_id: str) -> None:
        self.revisions: list[int] = []
        self.code: grpc.StatusCode | None = None
        self._call = gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id))
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    @property
    def revision(self) -> int:
        return self.revisions[-1] if self.revisions else 0

    def stop(self) -> None:
        self._call.cancel()
        self._thread.join(10)

    def _follow(self) -> None:
        try:
            for message in self._call:
                self.revisions.append(message.order.revision)
        except grpc.RpcError as error:
            self.code = error.code()


Watch = Callable[[str], Watcher]


@pytest.fixture
def watch(gateway: Gateway) -> Iterator[Watch]:
    watchers: list[Watcher] = []

    def begin(order_id: str) -> Watcher:
        watcher = Watcher(gateway, order_id)
        watchers.append(watcher)
        eventually(lambda: watcher.revisions)
        return watcher

    yield begin
    for watcher in watchers:
        watcher.stop()


def change(database: Database, order_id: str) -> int:
    """Any change, without a hint; the new revision."""
    with database.write() as session:
        locked = orders.lock(session, UUID(order_id))
        assert locked
        return locked.revision


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the gateway has read: orders, and the revisions of all that are watched."""
    counts = {"changes": 0, "revisions": 0}

    def counted(name: str) -> None:
        real = getattr(OrderReader, name)

        def count(*arguments: object) -> object:
            counts[name] += 1
            return real(*arguments)

        monkeypatch.setattr(OrderReader, name, count)

    for name in counts:
        counted(name)
    return counts


def test_many_watchers_of_an_order_are_one_reader(
    gateway: Gateway, watch: Watch, database: Database, queues: Broker, readings: dict[str, int]
) -> None:
    order_id = order(gateway).order_id
    watchers = [watch(order_id) for _ in range(30)]
    assert readings["changes"] == 30
    begun = readings["revisions"]
    eventually(lambda: readings["revisions"] >= begun + SECOND_READING)
    assert readings["changes"] == 30, "somebody looks again though nothing has changed"
    revision = change(database, order_id)
    queues.announce(UUID(order_id))
    eventually(lambda: all(watcher.revision == revision for watcher in watchers))
    assert readings["changes"] - 30 in {1, 2}, "one for all of them, and one if it was looked for at that moment, too"


def test_orders_without_changes_are_not_read_and_all_are_looked_at_together(
    gateway: Gateway, watch: Watch, readings: dict[str, int]
) -> None:
    for _ in range(10):
        watch(order(gateway).order_id)
    begun = readings["revisions"]
    eventually(lambda: readings["revisions"] >= begun + SECOND_READING)
    assert readings["changes"] == 10


def test_a_change_whose_hint_was_lost_is_found(gateway: Gateway, watch: Watch, database: Database) -> None:
    order_id = order(gateway).order_id
    watcher = watch(order_id)
    revision = change(database, order_id)
    eventually(lambda: watcher.revision == revision)


def test_changes_in_quick_succession_come_as_few_messages(
    gateway: Gateway, watch: Watch, database: Database, queues: Broker
) -> None:
    order_id = order(gateway).order_id
    watcher = watch(order_id)
    for _ in range(50):
        revision = change(database, order_id)
        queues.announce(UUID(order_id))
    eventually(lambda: watcher.revision == revision)
    assert watcher.revisions == sorted(set(watcher.revisions))
    assert len(watcher.revisions) < 50


def test_an_order_that_is_deleted_sends_its_watchers_away(gateway: Gateway, watch: Watch) -> None:
    order_id = order(gateway).order_id
    watchers = [watch(order_id) for _ in range(3)]
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=order_id))
    eventually(lambda: {watcher.code for watcher in watchers} == {grpc.StatusCode.NOT_FOUND})


def test_a_watch_outlives_a_restart_of_the_broker(
    gateway: Gateway, watch: Watch, database: Database, queues: Broker, valkey_server: ValkeyServer
) -> None:
    order_id = order(gateway).order_id
    watcher = watch(order_id)
    valkey_server.restart()
    revision = change(database, order_id)
    queues.announce(UUID(order_id))
    eventually(lambda: watcher.revision == revision)


def test_what_is_no_hint_of_ours_harms_nobody(
    gateway: Gateway, watch: Watch, database: Database, queues: Broker
) -> None:
    order_id = order(gateway).order_id
    watcher = watch(order_id)
    queues.client.publish("imageblur:changed", b"rubbish")
    revision = change(database, order_id)
    queues.announce(UUID(order_id))
    eventually(lambda: watcher.revision == revision)
