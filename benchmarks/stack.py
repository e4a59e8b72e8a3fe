"""`python -m benchmarks.stack`: the stack's overhead around blurring, and its throughput on all cores.

An order of 200 photographs of 2.4 megapixels and 250 kB each, Gaussian of sigma 5, on a private stack; from the first
byte sent to the last commit. The client's own time does not count; its watching of the order does.
"""

import argparse
import io
import multiprocessing
import os
import re
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

import psutil
from imageblur_client import Client
from PIL import Image, ImageFilter

from benchmarks import report
from benchmarks.photographs import LARGE, cropped, install, jpeg_of_size
from benchmarks.processor import processor_seconds_by_name, seconds_of
from benchmarks.report import Bar
from services.blur_worker.engine import Limits, blur, kept_memory
from services.common.domain.spec import BlurSpec, Gaussian
from services.common.infra.settings import PREFIX
from services.stack.background import private_stack
from services.stack.ports import free_port

SIDES, BYTES, SIGMA = (1920, 1280), 250_000, 5
NAMES = [name for name in LARGE if name != "RainDrops"]  # that one is 1,200 pixels high
TIMES_PILLOW = 6
"""How many times as fast as Pillow the engine has to be at that sigma."""
LIMITS = Limits(max_pixels=120_000_000)
# As in a worker's child process, for Pillow too.
kept_memory.keep()


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
    port = free_port()
    settings = {f"{PREFIX}{name}_METRICS_PORT": "0" for name in ("GATEWAY", "MAILER", "SCHEDULER", "WEB")}
    settings |= {f"{PREFIX}METRICS_HOST": "127.0.0.1", f"{PREFIX}BLUR_WORKER_METRICS_PORT": str(port)}
    with private_stack(settings) as stack, Client(stack.gateway_address) as client:
        root = psutil.Process(stack.process.pid)
        warm = client.order("warm@example.org", order[: 2 * (os.cpu_count() or 1)])
        list(client.watch(warm.order_id))
        time.sleep(2)
        engine, before, begin = engine_seconds(port), processor_seconds_by_name(root), time.monotonic()
        placed = client.order("many@example.org", order)
        for change in client.watch(placed.order_id):
            placed = change.order
        seconds = time.monotonic() - begin
        after = processor_seconds_by_name(root)
        assert placed.counts.succeeded == count
        used = {name: after[name] - before.get(name, 0) for name in after}
        return Run(seconds, used, engine_seconds(port) - engine)


def engine_seconds(metrics_port: int) -> float:
    """Processor time that the children reported, over all images, from the worker's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(r'^imageblur_stage_seconds_sum\{stage="processor"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@dataclass(frozen=True)
class Round:
    """What is measured in turn, in milliseconds of processor time for an image."""

    pillow: float
    engine: float
    """Alone."""
    order: Run
    images: int
    possible: float
    """Images a second with a process on each core that does nothing but blur."""
    asked: float
    """The same of an engine that is just as fast as it has to be: `TIMES_PILLOW`."""

    @property
    def outside(self) -> dict[str, float]:
        """By kind of process, what is not the engine."""
        each = {name: seconds for name, seconds in self.order.processor.items() if seconds > 0}
        each["children"] = each.get("children", 0) - self.order.engine
        return {name: 1000 * seconds / self.images for name, seconds in sorted(each.items())}

    @property
    def share(self) -> float:
        """Of Pillow's time."""
        return sum(self.outside.values()) / self.pillow

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.order.seconds

    def row(self) -> list[str]:
        """Of the table."""
        inside = 1000 * self.order.engine / self.images
        return [
            *(f"{value:.1f}" for value in (self.pillow, self.engine, inside)),
            f"{sum(self.outside.values()):.2f}",
            ", ".join(f"{name} {value:.2f}" for name, value in self.outside.items()),
            f"{100 * self.share:.1f} %",
            f"{self.rate:.1f}",
            f"{self.rate / self.possible:.2f} of {self.possible:.0f}",
            f"{self.rate / self.asked:.2f} of {self.asked:.0f}",
        ]


HEAD = [
    "Pillow",
    "engine alone",
    "engine in the stack",
    "outside the engine",
    "of these",
    "of Pillow's",
    "images/s",
    "of all cores with the engine alone",
    "of all cores with an engine at its bar",
]


def measure(photographs: list[bytes], count: int) -> Round:
    """All of it once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pillow = sum(seconds_of(partial(by_pillow, data), 1) for data in photographs) / len(photographs)
    engine = sum(seconds_of(partial(by_engine, data), 3) for data in photographs) / len(photographs)
    possible, asked = rate_on(cores, photographs), cores * TIMES_PILLOW / pillow
    return Round(1000 * pillow, 1000 * engine, run(photographs, count), count, possible, asked)


def rate_on(cores: int, photographs: list[bytes]) -> float:
    """Images a second of a process on each core, all at once: together they are slower than one on its own."""
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):  # the first time, the processes load the engine
            rate = sum(pool.map(rate_of, [photographs] * cores))
    return rate


def rate_of(photographs: list[bytes]) -> float:
    """Images a second of this process."""
    begin = time.monotonic()
    for data in 4 * photographs:
        by_engine(data)
    return 4 * len(photographs) / (time.monotonic() - begin)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    arguments = parser.parse_args()
    install()
    photographs = [jpeg_of_size(cropped(name, *SIDES), BYTES) for name in NAMES]
    for data in photographs:
        by_engine(data)
    rounds = [measure(photographs, arguments.images) for _ in range(arguments.rounds)]
    share, of_possible, of_asked = (
        median(values)
        for values in zip(
            *((each.share, each.rate / each.possible, each.rate / each.asked) for each in rounds), strict=True
        )
    )
    bars = [
        Bar("processor time outside the engine, of Pillow's", share, 0.05, 0.025, at_most=True),
        Bar("images/s, of all cores with the engine alone", of_possible, 0.7, 0.85),
        Bar("images/s, of all cores with an engine at its bar", of_asked, 0.7, 0.85),
    ]
    kilobytes = sum(map(len, photographs)) / len(photographs) / 1000
    text = (
        f"## The stack\n\n{__doc__}\n{len(photographs)} photographs of {kilobytes:.0f} kB on average; milliseconds of"
        f" processor time for an image, each row a round.\n\n{report.table(HEAD, [each.row() for each in rounds])}\n"
        f"{report.bars(bars)}"
    )
    print(text)
    if arguments.write:
        report.write("stack", text)


if __name__ == "__main__":
    main()
