"""`python -m benchmarks.scale`: what a million finished orders cost, beside an empty and a small database.

Three stacks on this machine: without orders; with as many of each kind as fill the pages of lists; with a million.
Each thing is done with all in turns; prints medians, and those of the million as ratios to the others. `--expire N`
lets N orders expire at once, and times new orders meanwhile. `--folder` keeps the databases for the next run.
"""

import argparse
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
import psutil
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import operator_service_pb2 as operator_pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.operator_pb2 import OrderFilter
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.order_pb2 import OrderState
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import bindparam, func, select, update

from benchmarks.databases import seeded_databases
from benchmarks.orders import spread, timed_order
from benchmarks.photographs import square_jpeg
from benchmarks.processor import processor_seconds
from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import ActivityProgress, Order, UnownedBlobs
from services.common.infra.settings import PREFIX
from services.stack.background import BackgroundStack, background_stack
from services.stack.ports import free_port
from tests.support.seed import Seed

DAYS = 14
_PAGES = (
    "",
    "?range=7d",
    "/orders",
    "/failures",
    "/mailings",
    "/keys",
    "/audit",
    "/subscribers",
    "/texts",
    "/webhooks",
)
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A running stack, an order of it, and how it is asked."""

    name: str
    stack: BackgroundStack
    database: Database
    orders: BlurServiceStub
    operator: OperatorServiceStub
    known_order: str
    scheduler_metrics: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where the databases are kept, and taken from the next time")
    parser.add_argument("--seed-only", action="store_true", help="write the databases into the folder, measure nothing")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--idle-seconds", type=float, default=60)
    parser.add_argument("--expire", type=int, default=0, metavar="N", help="measure only this; the orders stay expired")
    arguments = parser.parse_args()
    seeds = {
        "empty": Seed(orders=0, days=DAYS),
        "small": Seed(orders=400, days=DAYS, failed_share=2, addresses=20),
        "full": Seed(orders=arguments.orders, days=DAYS),
    }
    with ExitStack() as exit_stack:
        folder, urls = exit_stack.enter_context(seeded_databases(arguments.database, arguments.folder, seeds))
        if arguments.seed_only:
            return
        databases = dict(zip(seeds, urls, strict=True))
        if arguments.expire:
            _expire(databases, folder, arguments.expire)
            return
        subjects = [exit_stack.enter_context(_subject(name, url, folder)) for name, url in databases.items()]
        for subject in subjects:
            _wait_summarised(subject.database)
        _compare(subjects, arguments.rounds)
        _compare_idle(subjects, arguments.idle_seconds)


@contextmanager
def _subject(name: str, url: str, folder: Path) -> Iterator[Subject]:
    metrics = {name: free_port() for name in ("GATEWAY", "BLUR_WORKER", "MAILER", "SCHEDULER", "WEB")}
    environment = {
        f"{PREFIX}GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}MAILBOX_PORT": str(free_port()),
        f"{PREFIX}DATABASE_URL": url,
        f"{PREFIX}METRICS_HOST": "127.0.0.1",
        f"{PREFIX}MAX_ORDERS_PER_MINUTE": "100000",
        **{f"{PREFIX}{service}_METRICS_PORT": str(port) for service, port in metrics.items()},
    }
    with background_stack(folder / name, environment) as stack, grpc.insecure_channel(stack.gateway_address) as channel:
        database, orders = Database(url), BlurServiceStub(channel)
        for _ in range(5):  # the first ones warm up
            timed_order(orders, square_jpeg())
        with database.read() as session:
            known = session.scalars(select(Order.id).order_by(Order.created_at).limit(1)).one()
        yield Subject(
            name=name,
            stack=stack,
            database=database,
            orders=orders,
            operator=OperatorServiceStub(channel),
            known_order=str(known),
            scheduler_metrics=metrics["SCHEDULER"],
        )
        database.close()


def _wait_summarised(database: Database) -> None:
    """Wait until the scheduler has summarised what the database came with: once, in the minutes after an upgrade."""
    while True:
        with database.read() as session:
            until = session.scalar(select(ActivityProgress.until)) or 0
            if until > (session.scalar(select(now())) or 0) - 300 * SECOND:
                break
        time.sleep(1)


def _actions() -> dict[str, Callable[[Subject], object]]:
    """Return what is measured."""
    photograph = square_jpeg()
    week, step = Duration(seconds=7 * 86_400), Duration(seconds=7 * 86_400 // 60)
    failed = OrderFilter(states=[OrderState.ORDER_STATE_PARTIALLY_FAILED])
    address = OrderFilter(email="person7@example.org")
    typed, part = OrderFilter(email_part="person7@example.org"), OrderFilter(email_part="erson7@")
    stat, lists = operator_pb.GetStatisticsRequest, operator_pb.ListOrdersRequest
    calls: dict[str, Callable[[Subject], object]] = {
        "order → done": lambda on: timed_order(on.orders, photograph),
        "Status": lambda on: on.orders.Status(pb.StatusRequest(order_id=on.known_order)),
        "ListImages": lambda on: on.orders.ListImages(pb.ListImagesRequest(order_id=on.known_order)),
        "ListQueues": lambda on: on.operator.ListQueues(operator_pb.ListQueuesRequest()),
        "ListOrders": lambda on: on.operator.ListOrders(lists()),
        "ListOrders, by state": lambda on: on.operator.ListOrders(lists(filter=failed)),
        "ListOrders, by address": lambda on: on.operator.ListOrders(lists(filter=address)),
        "search for a whole address": lambda on: on.operator.ListOrders(lists(filter=typed)),
        "search for a part of an address": lambda on: on.operator.ListOrders(lists(filter=part)),
        "GetOrderTrace": lambda on: on.operator.GetOrderTrace(
            operator_pb.GetOrderTraceRequest(order_id=on.known_order)
        ),
        "ListFailures": lambda on: on.operator.ListFailures(operator_pb.ListFailuresRequest()),
        "GetStatistics, 1 hour": lambda on: on.operator.GetStatistics(stat()),
        "GetStatistics, 7 days": lambda on: on.operator.GetStatistics(stat(span=week, step=step)),
    }
    for path in _PAGES:
        calls[f"/operator{path}"] = lambda on, path=path: _direct.open(f"{on.stack.web}/operator{path}").read()  # type: ignore[misc]
    calls["/operator/orders/…"] = lambda on: _direct.open(f"{on.stack.web}/operator/orders/{on.known_order}").read()
    return calls


def _compare(subjects: Sequence[Subject], rounds: int) -> None:
    _print_heading(subjects)
    for name, action in _actions().items():
        times: list[list[float]] = [[] for _ in subjects]
        for number in range(-1, rounds):
            for place in range(len(subjects)):
                which = (place + number) % len(subjects)  # in turns, each as often first
                begin = time.perf_counter()
                action(subjects[which])
                if number >= 0:  # the first round warms up
                    times[which].append((time.perf_counter() - begin) * 1000)
        _print_row(name, [median(each) for each in times], "ms")


def _compare_idle(subjects: Sequence[Subject], seconds: float) -> None:
    roots = [psutil.Process(subject.stack.process.pid) for subject in subjects]
    jobs_before = [_job_seconds(subject) for subject in subjects]
    before = [processor_seconds(root) for root in roots]
    time.sleep(seconds)
    used = [processor_seconds(root) - was for root, was in zip(roots, before, strict=True)]
    jobs = [_job_seconds(subject) for subject in subjects]
    _print_row("idle, of a core", [100 * each / seconds for each in used], "%")
    spent = [after - was for after, was in zip(jobs, jobs_before, strict=True)]
    _print_row("all jobs of the scheduler, a minute", [1000 * each * 60 / seconds for each in spent], "ms")


def _print_heading(subjects: Sequence[Subject]) -> None:
    others = "".join(f" {f'to {subject.name}':>9}" for subject in subjects[:-1])
    print(" " * 40 + "".join(f"{subject.name:>11}" for subject in subjects) + others)


def _print_row(name: str, values: Sequence[float], unit: str) -> None:
    ratios = "".join(f" {values[-1] / value if value else float('nan'):9.2f}" for value in values[:-1])
    print(f"{name:40}" + "".join(f" {value:7.1f} {unit:2}" for value in values) + ratios, flush=True)


def _job_seconds(subject: Subject) -> float:
    """Return how long the scheduler has been at its jobs."""
    with _direct.open(f"http://127.0.0.1:{subject.scheduler_metrics}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value for family in families for sample in family.samples if sample.name == "imageblur_job_seconds_sum"
    )


def _expire(databases: Mapping[str, str], folder: Path, count: int) -> None:
    """Let the oldest orders expire, and place orders there and beside it in turns until their blobs are removed."""
    database = Database(databases["full"])
    oldest = select(Order.id).where(Order.state != "EXPIRED").order_by(Order.created_at).limit(count)
    with database.write() as session:
        ids = session.scalars(oldest).all()
        values = update(Order).where(Order.id == bindparam("due_id")).values(expires_at=1)
        session.connection().execute(values, [{"due_id": order_id} for order_id in ids])
    database.close()
    due = select(func.count()).select_from(Order).where(Order.state != "EXPIRED", Order.expires_at < now())
    blobs = select(func.count()).select_from(UnownedBlobs).where(UnownedBlobs.state == "REMOVING")
    photograph, begin = square_jpeg(), time.monotonic()
    times: dict[str, list[float]] = {"idle": [], "expiring": []}
    # The scheduler of the second looks at once, and then every five minutes.
    with _subject("small", databases["small"], folder) as idle, _subject("full", databases["full"], folder) as expiring:
        while True:
            for number in range(20):
                subject = expiring if number % 2 else idle
                times["expiring" if number % 2 else "idle"].append(timed_order(subject.orders, photograph).done)
            with expiring.database.read() as session:
                left, unremoved = session.scalar(due) or 0, session.scalar(blobs) or 0
            print(f"after {time.monotonic() - begin:.0f} s: {left:,} left, blobs of {unremoved:,}", flush=True)
            for name, each in times.items():
                print(f"  order → done, {name}: {spread(each)} ({len(each)} orders)", flush=True)
            if not left + unremoved:
                break


if __name__ == "__main__":
    main()
