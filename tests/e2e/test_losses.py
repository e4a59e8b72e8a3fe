"""What was accepted ends, whatever is killed or lost on the way."""

import os
import signal
from collections.abc import Callable

import psutil
import redis
from imageblur.v1 import order_pb2
from imageblur_client import Client, Order

from services.stack.background import BackgroundStack
from services.stack.environment import broker_url
from services.stack.supervision.process_groups import group_members
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.queues import paused_blurring
from tests.support.waiting import eventually

COUNT = 30


def begin(stack: BackgroundStack, client: Client, strike: Callable[[], object]) -> Order:
    """Strike while an order is in the middle of being worked on; return that order."""

    def struck() -> Order | None:
        with paused_blurring(stack):  # its images get no head start
            order = client.order("loss@example.org", [PHOTOGRAPHS / "hubble_deep_field.jpg"] * COUNT)
        eventually(lambda: client.status(order.order_id).order.counts.succeeded > 0)
        strike()
        # None if all images were faster than this process.
        return order if client.status(order.order_id).order.counts.succeeded < COUNT else None

    order = eventually(struck)
    assert order
    return order


def running(stack: BackgroundStack, module: str) -> psutil.Process:
    """The main process of a service, once it runs again after the test before."""

    def found() -> psutil.Process | None:
        try:
            return stack.service(module)
        except (StopIteration, psutil.Error):
            return None

    process = eventually(found)
    assert process
    return process


def finish(client: Client, order: Order) -> Order:
    last = order
    for change in client.watch(order.order_id):
        last = change.order
    assert last.state == order_pb2.ORDER_STATE_SUCCEEDED
    assert last.counts.succeeded == COUNT
    return last


def test_a_killed_blur_worker_loses_nothing(stack: BackgroundStack, client: Client) -> None:
    killed: list[int] = []

    def kill() -> None:
        killed.append(running(stack, "services.blur_worker").pid)
        os.killpg(killed[-1], signal.SIGKILL)

    finish(client, begin(stack, client, kill))
    assert running(stack, "services.blur_worker").pid not in killed


def test_a_killed_main_leaves_no_child_working(stack: BackgroundStack, client: Client) -> None:
    group: list[psutil.Process] = []

    def kill() -> None:
        worker = running(stack, "services.blur_worker")
        group.extend(group_members(worker.pid))
        worker.kill()

    finish(client, begin(stack, client, kill))
    _, alive = psutil.wait_procs(group, timeout=60)
    assert not alive


def test_a_broker_without_its_data_loses_nothing(stack: BackgroundStack, client: Client) -> None:
    with redis.Redis.from_url(broker_url(stack.data_folder)) as valkey:
        order = begin(stack, client, valkey.flushall)
    finish(client, order)


def test_a_killed_gateway_is_started_again_and_a_watch_goes_on(stack: BackgroundStack, client: Client) -> None:
    order = begin(stack, client, lambda: None)
    changes = client.watch(order.order_id)
    last = next(changes).order
    running(stack, "services.gateway").kill()
    for change in changes:
        last = change.order
    assert last.counts.succeeded == COUNT


def test_a_killed_scheduler_is_missed_by_nobody(stack: BackgroundStack, client: Client) -> None:
    finish(client, begin(stack, client, lambda: running(stack, "services.scheduler").kill()))
