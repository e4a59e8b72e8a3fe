"""`python -m benchmarks.memory`: the gateway's memory during a gigabyte of photographs and many messages."""

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import grpc
import psutil
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client, InputFile
from PIL import Image

from services.stack.background import private_stack

MIB = 1 << 20


@contextmanager
def reported(process: psutil.Process, what: str) -> Iterator[None]:
    """Print the resident memory before, at its peak (looked at every 10 ms) and after the block."""
    before = peak = process.memory_info().rss
    done = threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    looker = threading.Thread(target=look)
    looker.start()
    begin = time.monotonic()
    yield
    seconds = time.monotonic() - begin
    done.set()
    looker.join()
    after = process.memory_info().rss
    print(f"{what}: {before / MIB:.0f} MiB before, {peak / MIB:.0f} peak, {after / MIB:.0f} after; {seconds:.1f} s")


def main() -> None:
    """Measure and print."""
    photograph = (files("skimage") / "data" / "rocket.jpg").read_bytes()
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photograph)).resize((2700, 2000)).save(buffer, "BMP")
    large = buffer.getvalue()
    count = (1 << 30) // len(large) + 1
    with private_stack() as stack, Client(stack.gateway_address) as client:
        gateway = stack.service("services.gateway")
        client.order("warm@example.org", [("a.jpg", photograph)])
        with reported(gateway, "order of 200 photographs, accepted"):
            order = client.order("many@example.org", [("a.jpg", photograph)] * 200)
        with reported(gateway, "order of 200 photographs, watched to its end"):
            for change in client.watch(order.order_id):
                order = change.order
        print(f"  {order.counts.succeeded} of {order.counts.total} succeeded")
        size = count * len(large) / (1 << 30)
        with reported(gateway, f"order of {size:.2f} GiB streamed, accepted"):
            order = client.order("large@example.org", [InputFile(large, name="a.bmp")] * count)
        client.delete(order.order_id)
        for count in (8, 64):
            messages(count, stack.gateway_address, gateway, large)
        oversized(stack.gateway_address, gateway)


def messages(count: int, address: str, gateway: psutil.Process, picture: bytes) -> None:
    """So many BlurOrder calls at once, each near the largest that is taken; the pictures are noise to the workers."""
    image = blur.InputImage(filename="a.bmp", data=picture[: 15 * MIB // 4])
    request = blur.BlurOrderRequest(order=blur.OrderHeader(email="many@example.org"), images=[image, image])
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(count) as threads:
        service = BlurServiceStub(channel)
        with reported(gateway, f"{count} messages of {request.ByteSize() / MIB:.0f} MiB at once"):
            answers = [threads.submit(service.BlurOrder, request) for _ in range(count)]
            errors = [answer.exception() for answer in answers]
        print(f"  {errors.count(None)} accepted, {count - errors.count(None)} asked to come again")
        for answer, error in zip(answers, errors, strict=True):
            if not error:
                service.DeleteOrder(blur.DeleteOrderRequest(order_id=answer.result().order.order_id))


def oversized(address: str, gateway: psutil.Process) -> None:
    """As many calls of methods that take small messages only, each with one as large as gRPC lets through."""
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(64) as threads:
        for method in ("imageblur.v1.BlurService/Status", "grpc.health.v1.Health/Check"):
            call: Any = channel.stream_unary(f"/{method}")
            with reported(gateway, f"64 messages of 9 MiB at once for {method}"):
                answers = [threads.submit(call, iter([bytes(9 * MIB)])) for _ in range(64)]
                errors: list[Any] = [answer.exception() for answer in answers]
            print(f"  {Counter(error.code().name for error in errors)}")


if __name__ == "__main__":
    main()
