"""`python -m benchmarks.attackers`: how long others wait for Status while one peer attacks the gateway.

A victim calls Status every 20 ms from one address: while nothing else happens, then while another process attacks from
another address (127.0.0.2, needs Linux). The attacker's frames are encoded before, and it begins 20,000 streams a
second at most, as it shares the processor with the gateway. Idle phases alternate with attacks.
"""

import argparse
import contextlib
import math
import multiprocessing
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import grpc
import psutil
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from benchmarks.attacking_peer import ATTACKS, attack
from benchmarks.photographs import square_jpeg
from services.stack.background import private_stack

INTERVAL_SECONDS = 0.02
TIMEOUT_SECONDS = 60


def p99(milliseconds: Sequence[float]) -> float:
    """The 99th percentile; the worst of fewer than 100."""
    return sorted(milliseconds)[math.ceil(0.99 * len(milliseconds)) - 1]


def timed_calls(service: BlurServiceStub, order_id: str, seconds: float) -> tuple[list[float], Counter[str]]:
    """Milliseconds of each of the victim's calls, one after another, and their codes."""
    taken, codes = [], Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        try:
            service.Status(pb.StatusRequest(order_id=order_id), timeout=TIMEOUT_SECONDS)
            codes["OK"] += 1
        except grpc.RpcError as error:
            codes[error.code().name] += 1
        taken.append(1000 * (time.perf_counter() - begin))
        time.sleep(random.uniform(0.5, 1.5) * INTERVAL_SECONDS)
    return taken, codes


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked."""

    address: str
    process: psutil.Process
    order_id: str


@contextlib.contextmanager
def gateway() -> Iterator[Target]:
    """Run a stack with one order."""
    with private_stack() as stack, Client(stack.gateway_address) as client:
        order_id = client.order("victim@example.org", [("a.jpg", square_jpeg())]).order_id
        yield Target(address=stack.gateway_address, process=stack.service("services.gateway"), order_id=order_id)


@contextlib.contextmanager
def bare_gateway() -> Iterator[Target]:
    """Run a server without anything of ours but the options of gRPC."""
    command = [sys.executable, "-m", "benchmarks.bare_gateway"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        assert process.stdout
        port = int(process.stdout.readline())
        try:
            yield Target(address=f"127.0.0.1:{port}", process=psutil.Process(process.pid), order_id=str(uuid.uuid4()))
        finally:
            process.terminate()


def measure(target: Target, service: BlurServiceStub, name: str, seconds: float) -> None:
    """Measure one attack and print it."""
    order_id, gateway = target.order_id, target.process
    timed_calls(service, order_id, 0.5)
    idle, _ = timed_calls(service, order_id, seconds)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=attack, args=(theirs, name, target.address, order_id))
    process.start()
    theirs.close()
    ours.recv()  # connected and encoded
    before = sum(gateway.cpu_times()[:2])
    begin = time.monotonic()
    ours.send("begin")
    during, codes = timed_calls(service, order_id, seconds)
    busy = (sum(gateway.cpu_times()[:2]) - before) / (time.monotonic() - begin)
    ours.send("end")
    answers = ours.recv()
    process.join(60)
    print(
        f"{name}: victim p50 {median(idle):.1f} -> {median(during):.1f} ms, p99 {p99(idle):.1f} -> {p99(during):.1f} ms"
        f" ({p99(during) / p99(idle):.1f} x), worst {max(during):.0f} ms, {len(during)} calls {dict(codes)}; "
        f"gateway {100 * busy:.0f} % of a core, RSS {gateway.memory_info().rss >> 20} MiB; attacker: {answers}",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each phase")
    parser.add_argument("attacks", nargs="*", help="of " + ", ".join(ATTACKS))
    parser.add_argument("--bare", action="store_true", help="attack gRPC without the gateway: what is not our code's")
    arguments = parser.parse_args()
    with bare_gateway() if arguments.bare else gateway() as target:
        with grpc.insecure_channel(target.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            for name in arguments.attacks or ATTACKS:
                measure(target, BlurServiceStub(channel), name, arguments.seconds)


if __name__ == "__main__":
    main()
