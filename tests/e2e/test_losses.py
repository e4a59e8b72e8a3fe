"""What was accepted ends, whatever is killed or lost on the way."""

import os
import signal

import psutil
import redis
from imageblur.v1 import order_pb2
from imageblur_client import Client, Order

from services.stack.background import BackgroundStack
from services.stack.environment import broker_url
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.waiting import eventually

COUNT = 30


def begin(client: Client) -> Order:
    """An order that is in the middle of being worked on."""
    order = client.order("loss@example.org", [PHOTOGRAPHS / "hubble_deep_field.jpg"] * COUNT)
    eventually(lambda: client.status(order.order_id).order.counts.succeeded > 0)
    assert client.status(order.order_id).order.counts.succeeded < COUNT
    return order


def finish(client: Client, order: Order) -> Order:
    last = order
    for change in client.watch(order.order_id):
        last = change.order
    assert last.state == order_pb2.ORDER_STATE_SUCCEEDED
    assert last.counts.succeeded == COUNT
    return last


def test_a_killed_blur_worker_loses_nothing(stack: BackgroundStack, client: Client) -> None:
    order = begin(client)
    worker = stack.service("services.blur_worker")
    os.killpg(worker.pid, signal.SIGKILL)
    assert client.status(order.order_id).order.counts.succeeded < COUNT
    finish(client, order)
    assert worker.pid != stack.service("services.blur_worker").pid


def test_a_killed_main_leaves_no_child_working(stack: BackgroundStack, client: Client) -> None:
    order = begin(client)
    worker = stack.service("services.blur_worker")
    group = worker.children(recursive=True)
    worker.kill()
    finish(client, order)
    _, alive = psutil.wait_procs(group, timeout=20)
    assert not alive


def test_a_broker_without_its_data_loses_nothing(stack: BackgroundStack, client: Client) -> None:
    order = begin(client)
    with redis.Redis.from_url(broker_url(stack.data_folder)) as valkey:
        valkey.flushall()
    finish(client, order)


def test_a_killed_gateway_is_started_again_and_a_watch_goes_on(stack: BackgroundStack, client: Client) -> None:
    order = begin(client)
    changes = client.watch(order.order_id)
    last = next(changes).order
    stack.service("services.gateway").kill()
    for change in changes:
        last = change.order
    assert last.counts.succeeded == COUNT


def test_a_killed_scheduler_is_missed_by_nobody(stack: BackgroundStack, client: Client) -> None:
    order = begin(client)
    stack.service("services.scheduler").kill()
    finish(client, order)
