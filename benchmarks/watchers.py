"""`python -m benchmarks.watchers`: the cost of 1,000 watchers for a gateway, and how soon they see a change."""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from benchmarks.orders import spread
from benchmarks.photographs import square_jpeg
from services.stack.background import BackgroundStack, private_stack

CHANNELS = 20
"""Each is one connection, which may have 100 calls."""


def service(stack: BackgroundStack, module: str) -> psutil.Process:
    """The main process of a service."""
    return stack.service(module)


@contextmanager
def no_worker(stack: BackgroundStack) -> Iterator[None]:
    """Orders stay as they are, but for what this benchmark does to them."""
    main = service(stack, "services.blur_worker")
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def measure(stack: BackgroundStack, order_ids: list[str], watchers: int) -> None:
    """Watch, do nothing, then cancel one order after the other; print what came of it."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [aio.insecure_channel(stack.gateway_address, options) for _ in range(CHANNELS)]
    stubs = [BlurServiceStub(channel) for channel in channels]
    received: defaultdict[str, dict[int, float]] = defaultdict(dict)

    async def watch(number: int) -> None:
        order_id = order_ids[number % len(order_ids)]
        async for _ in stubs[number % CHANNELS].WatchStatus(pb.WatchStatusRequest(order_id=order_id)):
            received[order_id][number] = time.perf_counter()

    gateway = service(stack, "services.gateway")
    memory = gateway.memory_info().rss
    tasks = [asyncio.create_task(watch(number)) for number in range(watchers)]
    while sum(map(len, received.values())) < watchers:  # noqa: ASYNC110 - polled, so that it costs the watchers nothing
        await asyncio.sleep(0.05)
    each = (gateway.memory_info().rss - memory) / watchers
    print(f"{watchers} watchers of {len(order_ids)} orders: {each / 1024:.0f} KiB each")
    before = gateway.cpu_times()
    await asyncio.sleep(10)
    after = gateway.cpu_times()
    used = after.user + after.system - before.user - before.system
    print(f"nothing changes: the gateway takes {10 * used:.1f} % of a core")
    delays: list[float] = []
    for order_id in order_ids:
        begin = time.perf_counter()
        await stubs[0].CancelOrder(pb.CancelOrderRequest(order_id=order_id))
        await asyncio.sleep(0.3)
        delays += [1000 * (at - begin) for at in received[order_id].values()]
    await asyncio.gather(*tasks)
    print(f"from CancelOrder's call to a watcher's message: {spread(delays)}")
    for channel in channels:
        await channel.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--orders", type=int, default=50)
    arguments = parser.parse_args()
    with private_stack() as stack, Client(stack.gateway_address) as client, no_worker(stack):
        photograph = ("a.jpg", square_jpeg())
        order_ids = [client.order("watch@example.org", [photograph]).order_id for _ in range(arguments.orders)]
        asyncio.run(measure(stack, order_ids, arguments.watchers))


if __name__ == "__main__":
    main()
