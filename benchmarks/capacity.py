"""`python -m benchmarks.capacity`: what an order and an image cost each part of a deployment, and what many need.

Orders of one and of more images on a stack with PostgreSQL and Valkey, one after another: processor time of each kind
of process, commits and WAL of PostgreSQL, commands of Valkey. A model is fitted to them by least squares: so much for
an order, so much more for each of its images. It is printed with what it gives for 100, 1,000 and 10,000 images/s.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import psycopg
import redis
from imageblur_client import Client

from benchmarks import report
from benchmarks.photographs import LARGE, cropped, install, jpeg_of_size
from benchmarks.processor import processor_seconds_by_name
from services.common.infra.settings import PREFIX
from services.stack.background import private_stack
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

SIDES, BYTES = (1920, 1280), 250_000
SIZES = (1, 5, 20, 50, 100, 200)
"""Images of an order."""
RATES = (100, 1_000, 10_000)
"""Images per second of the plan."""
_KINDS = ("blur_worker", "children", "gateway")
_CONNECTIONS = 16
SETTLE_SECONDS = 1.0
"""What follows an order, such as the message to its watchers, belongs to it."""

Costs = dict[str, float]
"""What was used, by the resource's name: milliseconds of processor time, commits, kilobytes, commands."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An order that was placed."""

    images: int
    costs: Costs


@dataclass(frozen=True, kw_only=True)
class FittedCost:
    """The fitted cost of a resource: `order` + `image` × number of images."""

    resource: str
    order: float
    image: float
    unexplained: float
    """Share of the variance that the line does not explain."""

    def per_second(self, images: float, images_per_order: float) -> float:
        """Return what is used each second at so many images per second."""
        return images * (self.image + self.order / images_per_order)


class Meter:
    """Reads what a stack has used so far."""

    def __init__(self, root: psutil.Process, postgres: str, valkey: str) -> None:
        self._root = root
        self._postgres = psycopg.connect(postgres, autocommit=True)
        self._valkey = redis.Redis.from_url(valkey)

    def read(self) -> Costs:
        """Return all counters."""
        processor = processor_seconds_by_name(self._root)
        used = {f"{name}, ms of processor time": 1000 * processor[name] for name in _KINDS}
        row = self._postgres.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
        ).fetchone()
        assert row
        used |= {"PostgreSQL, commits with changes": float(row[0]), "PostgreSQL, kB of WAL": float(row[1]) / 1000}
        used["Valkey, commands"] = float(self._valkey.info("stats")["total_commands_processed"])
        return used


def measure(images: Sequence[bytes], sizes: Sequence[int], rounds: int) -> tuple[list[Sample], float]:
    """Place orders of each size in turn; the use of an idle stack in the same time is taken off.

    Returns:
        The samples, and the commits per second that the same PostgreSQL can do.
    """
    with TemporaryDirectory(prefix="imageblur-") as folder:
        postgres, valkey = PostgresServer(Path(folder), {"max_connections": "200"}), ValkeyServer(Path(folder) / "v")
        postgres.start()
        valkey.start()
        try:
            url = postgres.create_database()
            settings = {f"{PREFIX}DATABASE_URL": url, f"{PREFIX}BROKER_URL": valkey.url}
            with private_stack(settings) as stack, Client(stack.gateway_address) as client:
                root = psutil.Process(stack.process.pid)
                meter = Meter(root, url.replace("+psycopg", ""), valkey.url)
                _place(client, images[: 2 * (os.cpu_count() or 1)])
                begin, before = time.monotonic(), meter.read()
                time.sleep(20)
                idle = _divide(_subtract(meter.read(), before), time.monotonic() - begin)
                samples = []
                for size in list(sizes) * rounds:
                    begin, before = time.monotonic(), meter.read()
                    _place(client, [images[index % len(images)] for index in range(size)])
                    time.sleep(SETTLE_SECONDS)
                    used, seconds = _subtract(meter.read(), before), time.monotonic() - begin
                    costs = {name: value - seconds * idle.get(name, 0.0) for name, value in used.items()}
                    samples.append(Sample(images=size, costs=costs))
            return samples, commit_rate(url.replace("+psycopg", ""))
        finally:
            valkey.close()
            postgres.close()


def fit(samples: Sequence[Sample]) -> list[FittedCost]:
    """Return a line for each resource."""
    counts = np.array([[1.0, sample.images] for sample in samples])
    lines = []
    for resource in sorted(samples[0].costs):
        used = np.array([sample.costs.get(resource, 0.0) for sample in samples])
        (order, image), *_ = np.linalg.lstsq(counts, used, rcond=None)
        if order < 0:  # nothing gives back what it has used
            order, image = 0.0, float(counts[:, 1] @ used / (counts[:, 1] @ counts[:, 1]))
        rest, spread = used - counts @ (order, image), used - used.mean()
        unexplained = float(rest @ rest / (spread @ spread)) if spread.any() else 0.0
        lines.append(FittedCost(resource=resource, order=float(order), image=float(image), unexplained=unexplained))
    return lines


def commit_rate(url: str, seconds: float = 5.0) -> float:
    """Return how many commits per second of one row each PostgreSQL does here, over `_CONNECTIONS` connections."""

    def commit(number: int) -> int:
        done = 0
        with psycopg.connect(url, autocommit=True) as connection:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                connection.execute("INSERT INTO commits VALUES (%s)", (number,))
                done += 1
        return done

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE commits (number integer)")
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return sum(pool.map(commit, range(_CONNECTIONS))) / seconds


def _place(client: Client, images: Sequence[bytes]) -> None:
    placed = client.order("capacity@example.org", [(f"{index}.jpg", data) for index, data in enumerate(images)])
    for change in client.watch(placed.order_id):
        placed = change.order
    assert placed.counts.succeeded == len(images)


def _subtract(after: Mapping[str, float], before: Mapping[str, float]) -> Costs:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _divide(costs: Mapping[str, float], seconds: float) -> Costs:
    return {name: value / seconds for name, value in costs.items()}


def _need(line: FittedCost, images: float, images_per_order: float) -> str:
    value = line.per_second(images, images_per_order)
    return f"{value / 1000:,.1f} cores" if line.resource.endswith("ms of processor time") else f"{value:,.0f}/s"


def main() -> None:
    """Measure, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images-per-order", type=float, default=20, help="of the plan")
    arguments = parser.parse_args()
    install()
    images = [jpeg_of_size(cropped(name, *SIDES), BYTES) for name in LARGE if name != "RainDrops"]
    samples, commits = measure(images, SIZES, arguments.rounds)
    lines = fit(samples)
    head = ["resource", "an order", "an image", "not explained", *(f"{rate:,} images/s" for rate in RATES)]
    rows = [
        [
            line.resource,
            f"{line.order:.2f}",
            f"{line.image:.2f}",
            f"{line.unexplained:.1%}",
            *(_need(line, rate, arguments.images_per_order) for rate in RATES),
        ]
        for line in lines
    ]
    print(f"{len(SIZES) * arguments.rounds} orders; the plan has {arguments.images_per_order:g} images an order.")
    print(f"PostgreSQL alone does {commits:,.0f} commits/s here, over {_CONNECTIONS} connections.\n")
    print(report.table(head, rows))


if __name__ == "__main__":
    main()
