"""The first change hint is sent at once, and those that follow together."""

import queue
import threading
from collections.abc import Iterator
from unittest.mock import create_autospec
from uuid import UUID, uuid4

import dramatiq
import pytest

from services.blur_worker import change_hints
from services.blur_worker.change_hints import ChangeHints

BROKER, WORKER = create_autospec(dramatiq.Broker), create_autospec(dramatiq.Worker)


@pytest.fixture
def announced() -> "queue.SimpleQueue[set[UUID]]":
    return queue.SimpleQueue()


@pytest.fixture
def hints(announced: "queue.SimpleQueue[set[UUID]]") -> Iterator[ChangeHints]:
    hints = ChangeHints(lambda *order_ids: announced.put(set(order_ids)))
    hints.before_worker_boot(BROKER, WORKER)
    yield hints
    hints.after_worker_shutdown(BROKER, WORKER)


def test_the_first_is_announced_at_once_and_those_that_follow_together(
    hints: ChangeHints, announced: "queue.SimpleQueue[set[UUID]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(hints._stopped, "wait", lambda _: go_on.wait(10))
    first, second, third = uuid4(), uuid4(), uuid4()
    hints.order_changed(first)
    assert announced.get(timeout=10) == {first}, "before the gap"
    for order_id in (second, third, second, second):
        hints.order_changed(order_id)
    go_on.set()
    assert announced.get(timeout=10) == {second, third}
    assert announced.empty()


def test_the_last_change_is_announced_before_the_end(announced: "queue.SimpleQueue[set[UUID]]") -> None:
    hints = ChangeHints(lambda *order_ids: announced.put(set(order_ids)))
    last = uuid4()
    hints.order_changed(last)
    hints.before_worker_boot(BROKER, WORKER)
    assert announced.get(timeout=10) == {last}
    hints.order_changed(last)
    hints.after_worker_shutdown(BROKER, WORKER)
    assert announced.get(timeout=10) == {last}
    assert change_hints.GAP_SECONDS < 0.1, "as often as watchers are updated"
