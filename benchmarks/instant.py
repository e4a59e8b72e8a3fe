"""`python -m benchmarks.instant`: how soon BlurImage answers, on an idle stack and while orders fill it.

A photograph of two megapixels, Gaussian of sigma 5, one call after another, in one run: the engine alone (in this
process, wall-clock time as for the calls) alternates with calls on the idle stack, over gRPC and over HTTP, then calls
go on while an order of many photographs keeps all children busy.
"""

import argparse
import http.client
import os
import time
from collections.abc import Sequence
from statistics import median, quantiles
from urllib.parse import urlsplit

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from benchmarks import report
from benchmarks.photographs import cropped, install, jpeg
from benchmarks.report import Bar
from services.blur_worker.engine import Limits, blur, kept_memory
from services.common.domain.spec import BlurSpec
from services.common.infra.settings import PREFIX
from services.stack.background import private_stack

SIDES = 1640, 1200
NAME = "Garden"
LIMITS = Limits(max_pixels=120_000_000)
kept_memory.keep()  # as in a worker's child process
OPTIONS = [("grpc.max_receive_message_length", 16 << 20)]


def p95(milliseconds: Sequence[float]) -> float:
    """The 95th percentile."""
    return quantiles(milliseconds, n=20)[18]


def timed_engine(data: bytes) -> float:
    """Milliseconds of the engine alone."""
    begin = time.perf_counter()
    blur(data, BlurSpec(), LIMITS)
    return 1000 * (time.perf_counter() - begin)


def timed_call(service: BlurServiceStub, data: bytes) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    service.BlurImage(pb.BlurImageRequest(image=pb.InputImage(filename="a.jpg", data=data)))
    return 1000 * (time.perf_counter() - begin)


def timed_request(connection: http.client.HTTPConnection, data: bytes) -> float:
    """Milliseconds of one request over HTTP, on a connection that stays open."""
    begin = time.perf_counter()
    connection.request("POST", "/v1/blur", data, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--images", type=int, default=3000, help="of the order that fills the queue")
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    arguments = parser.parse_args()
    install()
    data = jpeg(cropped(NAME, *SIDES))
    environment = {f"{PREFIX}MAX_ORDERS_PER_MINUTE": "0"}
    with (
        private_stack(environment) as stack,
        grpc.insecure_channel(stack.gateway_address, options=OPTIONS) as channel,
        Client(stack.gateway_address) as client,
    ):
        service = BlurServiceStub(channel)
        connection = http.client.HTTPConnection(urlsplit(stack.web).netloc)
        cold = timed_call(service, data)
        for _ in range(5):
            timed_engine(data)
            timed_call(service, data)
            timed_request(connection, data)
        engine, idle, over_http = [], [], []
        for _ in range(arguments.calls):
            engine.append(timed_engine(data))
            idle.append(timed_call(service, data))
            over_http.append(timed_request(connection, data))
        # More than can be blurred meanwhile; deleted in the end.
        order = client.order("full@example.org", [(f"{index}.jpg", data) for index in range(arguments.images)])
        time.sleep(1)
        full = [timed_call(service, data) for _ in range(arguments.calls)]
        counts = client.status(order.order_id).order.counts
        assert counts.queued, "the order ended before the calls did"
        client.delete(order.order_id)
    bars = [
        Bar(
            "BlurImage on an idle stack: p50, of the engine's alone",
            median(idle) / median(engine),
            2.5,
            2,
            at_most=True,
        ),
        Bar(
            "POST /v1/blur on an idle stack: p50, of the engine's alone",
            median(over_http) / median(engine),
            2.5,
            2,
            at_most=True,
        ),
        Bar("BlurImage beside a full queue: p95, of the idle stack's", p95(full) / p95(idle), 3, 2, at_most=True),
    ]
    rows = [
        [name, *(f"{value:.1f}" for value in (median(times), p95(times), max(times)))]
        for name, times in (
            ("engine alone", engine),
            ("idle stack", idle),
            ("over HTTP", over_http),
            ("beside an order", full),
        )
    ]
    text = (
        f"## Instant calls\n\n{__doc__}\n{len(data) / 1000:.0f} kB, {os.cpu_count()} cores, milliseconds; the first "
        f"call, which starts a child process: {cold:.0f} ms; {counts.succeeded} images were blurred meanwhile.\n\n"
        f"{report.table(['', 'p50', 'p95', 'worst'], rows)}\n{report.bars(bars)}"
    )
    print(text)
    if arguments.write:
        report.write("instant", text)


if __name__ == "__main__":
    main()
