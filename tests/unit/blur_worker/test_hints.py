"""Hints are told at once, and together where many come."""

import queue
import threading
from collections.abc import Iterator
from unittest.mock import create_autospec
from uuid import UUID, uuid4

import dramatiq
import pytest

from services.blur_worker import hints
from services.blur_worker.hints import Hints

BROKER, WORKER = create_autospec(dramatiq.Broker), create_autospec(dramatiq.Worker)


@pytest.fixture
def told() -> "queue.SimpleQueue[set[UUID]]":
    return queue.SimpleQueue()


@pytest.fixture
def telling(told: "queue.SimpleQueue[set[UUID]]") -> Iterator[Hints]:
    telling = Hints(lambda *order_ids: told.put(set(order_ids)))
    telling.before_worker_boot(BROKER, WORKER)
    yield telling
    telling.after_worker_shutdown(BROKER, WORKER)


def test_the_first_is_told_at_once_and_what_follows_in_one_go(
    telling: Hints, told: "queue.SimpleQueue[set[UUID]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(telling._stopped, "wait", lambda _: go_on.wait(10))
    first, second, third = uuid4(), uuid4(), uuid4()
    telling.changed(first)
    assert told.get(timeout=10) == {first}, "before the gap"
    for order_id in (second, third, second, second):
        telling.changed(order_id)
    go_on.set()
    assert told.get(timeout=10) == {second, third}
    assert told.empty()


def test_what_came_last_is_told_before_the_end(told: "queue.SimpleQueue[set[UUID]]") -> None:
    telling = Hints(lambda *order_ids: told.put(set(order_ids)))
    last = uuid4()
    telling.changed(last)
    telling.before_worker_boot(BROKER, WORKER)
    assert told.get(timeout=10) == {last}
    telling.changed(last)
    telling.after_worker_shutdown(BROKER, WORKER)
    assert told.get(timeout=10) == {last}
    assert hints.GAP_SECONDS < 0.1, "as often as watchers are told"
