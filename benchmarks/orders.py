"""An order of one photograph as a client without a library would place it, timed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub


@dataclass(frozen=True)
class Times:
    """Of one order, in milliseconds from the call of BlurOrder."""

    accepted: float
    done: float
    """SUCCEEDED was seen over WatchStatus."""


def timed_order(service: BlurServiceStub, photograph: bytes) -> Times:
    """Place an order of one image and watch it to its end."""
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="prompt@example.org"), images=[pb.InputImage(filename="a.jpg", data=photograph)]
    )
    begin = time.perf_counter()
    order = service.BlurOrder(request).order
    accepted = time.perf_counter() - begin
    for change in service.WatchStatus(pb.WatchStatusRequest(order_id=order.order_id)):
        order = change.order
    done = time.perf_counter() - begin
    assert order.state == order_pb2.ORDER_STATE_SUCCEEDED
    return Times(accepted * 1000, done * 1000)


def spread(milliseconds: Sequence[float]) -> str:
    """Median, 95th percentile and worst."""
    p95 = quantiles(milliseconds, n=20)[18]
    return f"p50 {median(milliseconds):.1f} ms, p95 {p95:.1f} ms, worst {max(milliseconds):.1f} ms"
