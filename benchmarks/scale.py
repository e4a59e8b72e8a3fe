"""`python -m benchmarks.scale`: what a million finished orders cost, beside an empty database on the same machine.

Two stacks, one with the orders; each thing is done with both in turns. Prints medians and their ratios. `--expire N`
lets N orders expire at once, and times new orders meanwhile.
"""

import argparse
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

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
from sqlalchemy import func, select, update

from benchmarks.orders import spread, timed_order
from benchmarks.photographs import square_jpeg
from benchmarks.processor import processor_seconds
from services.common import migrations
from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import ActivityProgress, Order
from services.common.infra.settings import PREFIX
from services.stack.background import BackgroundStack, background_stack
from services.stack.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.seed import seed_orders

DAYS = 14
_PAGES = ("", "?range=7d", "/orders", "/failures", "/mailings", "/keys", "/audit")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A running stack, an order of it, and how it is asked."""

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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--idle-seconds", type=float, default=60)
    parser.add_argument("--expire", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="imageblur-") as folder, ExitStack() as exit_stack:
        urls = exit_stack.enter_context(_databases(arguments.database, Path(folder)))
        _prepare(urls[0], 0)
        _prepare(urls[1], arguments.orders)
        empty, full = (
            exit_stack.enter_context(_subject(url, Path(folder) / name))
            for url, name in zip(urls, ("empty", "full"), strict=True)
        )
        _wait_summarised(full.database)
        _compare(empty, full, arguments.rounds)
        _compare_idle(empty, full, arguments.idle_seconds)
        if arguments.expire:
            _expire(full, arguments.expire)


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind == "sqlite":
        for name in ("empty", "full"):
            (folder / name).mkdir()
        yield (f"sqlite:///{folder}/empty/imageblur.db", f"sqlite:///{folder}/full/imageblur.db")
        return
    server = PostgresServer(folder)
    server.start()
    try:
        yield server.create_database(), server.create_database()
    finally:
        server.kill()


def _prepare(url: str, orders: int) -> None:
    database = Database(url)
    migrations.upgrade(database)
    begin = time.monotonic()
    seed_orders(database, orders, days=DAYS, progress=lambda done: print(f"\rseeded {done:,}", end="", flush=True))
    database.close()
    print(f" in {time.monotonic() - begin:.0f} s" if orders else "empty database")


@contextmanager
def _subject(url: str, folder: Path) -> Iterator[Subject]:
    metrics = {name: free_port() for name in ("GATEWAY", "BLUR_WORKER", "MAILER", "SCHEDULER", "WEB")}
    environment = {
        f"{PREFIX}GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}MAILBOX_PORT": str(free_port()),
        f"{PREFIX}DATABASE_URL": url,
        f"{PREFIX}METRICS_HOST": "127.0.0.1",
        f"{PREFIX}MAX_ORDERS_PER_MINUTE": "100000",
        **{f"{PREFIX}{name}_METRICS_PORT": str(port) for name, port in metrics.items()},
    }
    with background_stack(folder, environment) as stack, grpc.insecure_channel(stack.gateway_address) as channel:
        database, orders = Database(url), BlurServiceStub(channel)
        for _ in range(5):  # the first ones warm up
            timed_order(orders, square_jpeg())
        with database.read() as session:
            known = session.scalars(select(Order.id).order_by(Order.created_at).limit(1)).one()
        yield Subject(
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
    begin = time.monotonic()
    while True:
        with database.read() as session:
            until = session.scalar(select(ActivityProgress.until)) or 0
            if until > (session.scalar(select(now())) or 0) - 300 * SECOND:
                break
        time.sleep(1)
    print(f"activity summarised after {time.monotonic() - begin:.0f} s")


def _actions() -> dict[str, Callable[[Subject], object]]:
    """Return what is measured."""
    photograph = square_jpeg()
    week, step = Duration(seconds=7 * 86_400), Duration(seconds=7 * 86_400 // 60)
    failed = OrderFilter(states=[OrderState.ORDER_STATE_PARTIALLY_FAILED])
    address = OrderFilter(email="person77@example.org")
    stat, lists = operator_pb.GetStatisticsRequest, operator_pb.ListOrdersRequest
    calls: dict[str, Callable[[Subject], object]] = {
        "order → done": lambda on: timed_order(on.orders, photograph),
        "Status": lambda on: on.orders.Status(pb.StatusRequest(order_id=on.known_order)),
        "ListImages": lambda on: on.orders.ListImages(pb.ListImagesRequest(order_id=on.known_order)),
        "ListQueues": lambda on: on.operator.ListQueues(operator_pb.ListQueuesRequest()),
        "ListOrders": lambda on: on.operator.ListOrders(lists()),
        "ListOrders, by state": lambda on: on.operator.ListOrders(lists(filter=failed)),
        "ListOrders, by address": lambda on: on.operator.ListOrders(lists(filter=address)),
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


def _compare(empty: Subject, full: Subject, rounds: int) -> None:
    print(f"{'':28} {'empty':>9} {'full':>9}  ratio")
    for name, action in _actions().items():
        times: dict[int, list[float]] = {0: [], 1: []}
        for subject in (empty, full):
            action(subject)
        for number in range(2 * rounds):
            which = (number + number // 2) % 2  # in turns, either first
            begin = time.perf_counter()
            action((empty, full)[which])
            times[which].append((time.perf_counter() - begin) * 1000)
        before, after = median(times[0]), median(times[1])
        print(f"{name:28} {before:7.1f} ms {after:6.1f} ms  {after / before:.2f}")


def _compare_idle(empty: Subject, full: Subject, seconds: float) -> None:
    roots = [psutil.Process(subject.stack.process.pid) for subject in (empty, full)]
    jobs_before = [_job_seconds(subject) for subject in (empty, full)]
    before = [processor_seconds(root) for root in roots]
    time.sleep(seconds)
    used = [processor_seconds(root) - was for root, was in zip(roots, before, strict=True)]
    shares = [100 * each / seconds for each in used]
    print(f"{'idle, of a core':28} {shares[0]:7.2f} %  {shares[1]:6.2f} %   {shares[1] / shares[0]:.2f}")
    jobs = [_job_seconds(subject) - was for subject, was in zip((empty, full), jobs_before, strict=True)]
    print(f"{'jobs of the scheduler':28} {jobs[0]:7.3f} s  {jobs[1]:6.3f} s   {jobs[1] / jobs[0]:.2f}")


def _job_seconds(subject: Subject) -> float:
    with _direct.open(f"http://127.0.0.1:{subject.scheduler_metrics}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value for family in families for sample in family.samples if sample.name == "imageblur_job_seconds_sum"
    )


def _expire(subject: Subject, count: int) -> None:
    """Let the oldest orders expire, and place orders until all of them have."""
    photograph = square_jpeg()
    before = [timed_order(subject.orders, photograph).done for _ in range(20)]
    oldest = select(Order.id).where(Order.state != "EXPIRED").order_by(Order.created_at).limit(count)
    with subject.database.write() as session:
        session.execute(
            update(Order).where(Order.id.in_(oldest)).values(expires_at=now() - SECOND),
            execution_options={"synchronize_session": False},
        )
    begin, meanwhile = time.monotonic(), []
    due = select(func.count()).select_from(Order).where(Order.state != "EXPIRED", Order.expires_at < now())
    while True:
        meanwhile += [timed_order(subject.orders, photograph).done for _ in range(10)]
        with subject.database.read() as session:
            left = session.scalar(due) or 0
        print(f"\r{left:,} left after {time.monotonic() - begin:.0f} s", end="", flush=True)
        if not left:
            break
        time.sleep(1)
    print(f"\n{count:,} orders expired within {time.monotonic() - begin:.0f} s")
    print(f"order → done before: {spread(before)}; meanwhile: {spread(meanwhile)}")


if __name__ == "__main__":
    main()
