"""`python -m benchmarks.attackers`: how long others wait for an answer while one peer attacks the gateway or the pages.

A victim calls Status, or requests a page, every 20 ms from one address: while nothing else happens, then while another
process attacks from another address (127.0.0.2, needs Linux). The attacker begins 20,000 streams a second at most, as
it shares the processor with the gateway. Idle phases alternate with attacks.
"""

import argparse
import contextlib
import http.client
import math
import multiprocessing
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import grpc
import psutil
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from benchmarks.attacking_peer import ATTACKS, attack
from benchmarks.photographs import square_jpeg
from benchmarks.slow_headers import HTTP1, HTTP2, trickle
from services.stack.background import private_stack

INTERVAL_SECONDS = 0.02
TIMEOUT_SECONDS = 60
PAGES = "slow-headers-pages"
SLOW_HEADERS = {"slow-headers": HTTP2, PAGES: HTTP1}
NAMES = (*ATTACKS, *SLOW_HEADERS)


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """What is attacked, and a victim's call that returns its code."""

    address: str
    process: psutil.Process
    order_id: str
    call: Callable[[], str]


def p99(milliseconds: Sequence[float]) -> float:
    """The 99th percentile; the worst of fewer than 100."""
    return sorted(milliseconds)[math.ceil(0.99 * len(milliseconds)) - 1]


def timed_calls(call: Callable[[], str], seconds: float) -> tuple[list[float], Counter[str]]:
    """Milliseconds of each of the victim's calls, one after another, and their codes."""
    taken, codes = [], Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        codes[call()] += 1
        taken.append(1000 * (time.perf_counter() - begin))
        time.sleep(random.uniform(0.5, 1.5) * INTERVAL_SECONDS)
    return taken, codes


@contextlib.contextmanager
def stack_targets() -> Iterator[dict[str, Attacked]]:
    """Run a stack with one order; yield its pages and, under an empty name, its gateway."""
    with private_stack() as stack, Client(stack.gateway_address) as client:
        order_id = client.order("victim@example.org", [("a.jpg", square_jpeg())]).order_id
        with _status_calls(stack.gateway_address, order_id) as call:
            gateway, web = stack.service("services.gateway"), stack.service("services.web")
            pages = urlsplit(stack.web).netloc
            connection = http.client.HTTPConnection(pages, timeout=TIMEOUT_SECONDS)
            yield {
                "": Attacked(address=stack.gateway_address, process=gateway, order_id=order_id, call=call),
                PAGES: Attacked(address=pages, process=web, order_id=order_id, call=partial(_get, connection)),
            }
            connection.close()


@contextlib.contextmanager
def bare_targets() -> Iterator[dict[str, Attacked]]:
    """Run a server without anything of ours but the options of gRPC."""
    command, order_id = [sys.executable, "-m", "benchmarks.bare_gateway"], str(uuid.uuid4())
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = f"127.0.0.1:{int(process.stdout.readline())}"
        try:
            with _status_calls(address, order_id) as call:
                yield {"": Attacked(address=address, process=psutil.Process(process.pid), order_id=order_id, call=call)}
        finally:
            process.terminate()


@contextlib.contextmanager
def _status_calls(address: str, order_id: str) -> Iterator[Callable[[], str]]:
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        service = BlurServiceStub(channel)

        def call() -> str:
            try:
                service.Status(pb.StatusRequest(order_id=order_id), timeout=TIMEOUT_SECONDS)
            except grpc.RpcError as error:
                return str(error.code().name)
            return "OK"

        yield call


def _get(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/newsletter")
    response = connection.getresponse()
    response.read()
    return str(response.status)


def measure(target: Attacked, name: str, seconds: float) -> None:
    """Measure one attack and print it."""
    timed_calls(target.call, 0.5)
    idle, _ = timed_calls(target.call, seconds)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    attacker: Callable[..., None] = trickle if name in SLOW_HEADERS else attack
    arguments: tuple[Any, ...] = (theirs, SLOW_HEADERS.get(name, name), target.address)
    if name in ATTACKS:
        arguments += (target.order_id,)
    process = context.Process(target=attacker, args=arguments)
    process.start()
    theirs.close()
    ours.recv()  # connected and encoded
    before = sum(target.process.cpu_times()[:2])
    begin = time.monotonic()
    ours.send("begin")
    during, codes = timed_calls(target.call, seconds)
    busy = (sum(target.process.cpu_times()[:2]) - before) / (time.monotonic() - begin)
    ours.send("end")
    answers = ours.recv()
    process.join(60)
    print(
        f"{name}: victim p50 {median(idle):.1f} -> {median(during):.1f} ms, p99 {p99(idle):.1f} -> {p99(during):.1f} ms"
        f" ({p99(during) / p99(idle):.1f} x), worst {max(during):.0f} ms, {len(during)} calls {dict(codes)}; "
        f"server {100 * busy:.0f} % of a core, RSS {target.process.memory_info().rss >> 20} MiB; attacker: {answers}",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each phase")
    parser.add_argument("--bare", action="store_true", help="attack gRPC without the gateway: what is not our code's")
    parser.add_argument("attacks", nargs="*", help="of " + ", ".join(NAMES))
    arguments = parser.parse_args()
    with bare_targets() if arguments.bare else stack_targets() as targets:
        for name in arguments.attacks or (ATTACKS if arguments.bare else NAMES):
            measure(targets.get(name, targets[""]), name, arguments.seconds)


if __name__ == "__main__":
    main()
