"""`python -m benchmarks.stack`: what the stack adds to blurring, and how much of the cores it turns into images.

An order of 200 photographs of 2.4 megapixels in 250 kB each, Gaussian of sigma 5, on a private stack; from the first
byte sent to the last commit. The client's own time does not count; what it watches the order by does.
"""

import argparse
import io
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from imageblur_client import Client
from PIL import Image, ImageFilter

from benchmarks.photographs import LARGE, cropped, install, jpeg_of_size
from benchmarks.processor import processor_seconds_by_name, seconds_of
from services.blur_worker.engine import Limits, blur
from services.common.settings import PREFIX
from services.common.spec import BlurSpec, Gaussian
from services.stack.background import private_stack

SIDES, BYTES, SIGMA = (1920, 1280), 250_000, 5
NAMES = [name for name in LARGE if name != "RainDrops"]  # that one is 1,200 pixels high
LIMITS = Limits(max_pixels=120_000_000)


@dataclass(frozen=True)
class Run:
    """One order: seconds by the clock, processor seconds by kind of process, and of these the engine's."""

    seconds: float
    processor: dict[str, float]
    engine: float


def by_pillow(data: bytes) -> bytes:
    """The same with Pillow alone."""
    with Image.open(io.BytesIO(data)) as image:
        out = io.BytesIO()
        image.filter(ImageFilter.GaussianBlur(SIGMA)).save(out, "JPEG", quality=BlurSpec().quality)
        return out.getvalue()


def by_engine(data: bytes) -> bytes:
    """As the worker's children do it."""
    return blur(data, BlurSpec(Gaussian(SIGMA)), LIMITS).data


def run(photographs: list[bytes], count: int) -> Run:
    """Place an order of so many photographs on a stack of its own."""
    order = [(f"{index}.jpg", photographs[index % len(photographs)]) for index in range(count)]
    with private_stack({f"{PREFIX}LOG_FORMAT": "json"}) as stack, Client(stack.gateway_address) as client:
        root = psutil.Process(stack.process.pid)
        warm = client.order("warm@example.org", order[: 2 * (os.cpu_count() or 1)])
        list(client.watch(warm.order_id))
        time.sleep(2)
        engine, before, begin = engine_seconds(stack.log), processor_seconds_by_name(root), time.monotonic()
        placed = client.order("many@example.org", order)
        for change in client.watch(placed.order_id):
            placed = change.order
        seconds = time.monotonic() - begin
        after = processor_seconds_by_name(root)
        assert placed.counts.succeeded == count
        time.sleep(1)  # for the last lines of the log
        used = {name: after[name] - before.get(name, 0) for name in after}
        return Run(seconds, used, engine_seconds(stack.log) - engine)


def engine_seconds(log: Path) -> float:
    """Processor time that the children told of, over all images in the log."""
    total = 0.0
    for line in log.read_text(encoding="utf-8").splitlines():
        _, brace, rest = line.partition("{")
        if '"event": "image"' in rest:
            total += json.loads(brace + rest)["processor_seconds"]
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    install()
    photographs = [jpeg_of_size(cropped(name, *SIDES), BYTES) for name in NAMES]
    print(f"{len(photographs)} photographs, {sum(map(len, photographs)) / len(photographs) / 1000:.0f} kB on average")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for data in photographs:
        by_engine(data)
    for _ in range(arguments.rounds):
        pillow = sum(seconds_of(partial(by_pillow, data), 1) for data in photographs) / len(photographs)
        begin = time.monotonic()
        engine = sum(seconds_of(partial(by_engine, data), 3) for data in photographs) / len(photographs)
        alone = 3 * len(photographs) / (time.monotonic() - begin)
        order = run(photographs, arguments.images)
        outside = (sum(order.processor.values()) - order.engine) / arguments.images
        rate = arguments.images / order.seconds
        print(
            f"Pillow {1000 * pillow:.1f} ms, engine alone {1000 * engine:.1f} ms, in the stack"
            f" {1000 * order.engine / arguments.images:.1f} ms; outside the engine {1000 * outside:.2f} ms, which is"
            f" {100 * outside / pillow:.1f} % of Pillow's (bar 5); {rate:.1f} images/s, which is"
            f" {rate / (cores * alone):.2f} of {cores} × {alone:.1f} (bar 0.7)"
        )
        each = {name: seconds for name, seconds in order.processor.items() if seconds > 0}
        each["children"] = each.get("children", 0) - order.engine
        told = ", ".join(f"{name} {1000 * seconds / arguments.images:.2f}" for name, seconds in sorted(each.items()))
        print(f"  ms an image outside the engine: {told}")


if __name__ == "__main__":
    main()
