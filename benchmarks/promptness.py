"""`python -m benchmarks.promptness`: from BlurOrder's call to SUCCEEDED seen over WatchStatus, on an idle stack."""

import argparse
import io
import random
import statistics
import time
from importlib.resources import files

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from PIL import Image

from services.stack.background import private_stack


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    orders = parser.parse_args().orders
    buffer = io.BytesIO()
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as picture:
        picture.save(buffer, "JPEG", quality=88)
    request = pb.BlurOrderRequest(
        order=pb.OrderHeader(email="prompt@example.org"),
        images=[pb.InputImage(filename="a.jpg", data=buffer.getvalue())],
    )
    accepted, done = [], []
    with private_stack() as stack, grpc.insecure_channel(stack.gateway_address) as channel:
        service = BlurServiceStub(channel)
        time.sleep(2)
        for number in range(orders + 5):
            time.sleep(random.uniform(0, 0.3))
            begin = time.perf_counter()
            order = service.BlurOrder(request).order
            at_once = time.perf_counter() - begin
            for change in service.WatchStatus(pb.WatchStatusRequest(order_id=order.order_id)):
                order = change.order
            if number >= 5:  # the first ones warm up
                accepted.append(at_once * 1000)
                done.append((time.perf_counter() - begin) * 1000)
            assert order.state == order_pb2.ORDER_STATE_SUCCEEDED
    for what, times in (("accepted", accepted), ("done", done)):
        cuts = statistics.quantiles(times, n=20)
        print(f"{what}: p50 {statistics.median(times):.1f} ms, p95 {cuts[18]:.1f} ms, worst {max(times):.1f} ms")


if __name__ == "__main__":
    main()
