"""Instant calls while gateways and workers, real processes, are killed or stopped in the middle of them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from sqlalchemy import func, select

from services.blur_worker.app import ORDER_NICENESS
from services.common.db.engine import Database
from services.common.db.models import Image as ImageRow
from services.common.db.models import Order, UnownedBlobs
from services.gateway.instant import direct_workers
from services.gateway.instant.direct_workers import DirectWorkers
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import SECRET, running, settings
from tests.support.files import files_below
from tests.support.images import encode, photo
from tests.support.ports import free_port
from tests.support.waiting import eventually

__all__ = ["settings"]

SECONDS = 120
PHOTO = encode(photo(), "PNG")
REQUEST = pb.BlurImageRequest(image=pb.InputImage(data=PHOTO))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Instant calls use no database."""
    return sqlite_url


@pytest.fixture
def environment(settings: GatewaySettings, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "IMAGEBLUR_LOG_LEVEL": "DEBUG",  # calls that went well have a line, too
        "IMAGEBLUR_DATABASE_URL": settings.database_url,
        "IMAGEBLUR_BROKER_URL": settings.broker_url,
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
        "IMAGEBLUR_BLUR_CHILDREN": "1",
        "IMAGEBLUR_INSTANT_CHILDREN": "1",
        "IMAGEBLUR_INSTANT_SECONDS": str(SECONDS),
        "IMAGEBLUR_SECRET_KEY": SECRET,
    }


class Process:
    """A service, whose output is kept."""

    def __init__(self, module: str, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.metrics_port = free_port()
        name = f"IMAGEBLUR_{module.partition('.')[2].upper()}_METRICS_PORT"
        environment = environment | {name: str(self.metrics_port), "IMAGEBLUR_METRICS_HOST": "127.0.0.1"}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module], env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def kill(self) -> None:
        """Kill it and all its children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            for process in [*parent.children(recursive=True), parent]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(30)

    def count_running(self) -> float:
        """How many instant calls this worker works on."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith("imageblur_instant_running ")).split()[1])

    def says(self, text: str) -> bool:
        return text in self.log.read_text("utf-8")


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    """Starts services; ends them."""
    started: list[Process] = []

    def start(module: str, **variables: str) -> Process:
        process = Process(module, environment | variables, tmp_path / f"{len(started)}.log")
        started.append(process)
        if module == "services.blur_worker":
            eventually(lambda: process.says("ready"), within=120)
        return process

    yield start
    for process in started:
        process.kill()


def called(stub: BlurServiceStub) -> "Future[pb.BlurImageResponse]":
    future: Future[pb.BlurImageResponse] = Future()

    def call() -> None:
        try:
            future.set_result(stub.BlurImage(REQUEST, timeout=SECONDS))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


@contextlib.contextmanager
def held_call(stub: BlurServiceStub, worker: Process) -> Iterator["Future[pb.BlurImageResponse]"]:
    """A call whose image the worker has, and whose child process stands still until the block ends."""
    stub.BlurImage(REQUEST, timeout=SECONDS)  # starts the child process
    main = psutil.Process(worker.process.pid)
    children = main.children(recursive=True)
    # The child process of orders leaves the processors to the one of instant calls.
    assert [child.nice() - main.nice() for child in children].count(ORDER_NICENESS) == 1
    for child in children:
        child.suspend()
    try:
        answer = called(stub)
        eventually(lambda: worker.count_running() == 1)
        yield answer
    finally:
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.resume()


def assert_nothing_left(settings: GatewaySettings, valkey: redis.Redis, tmp_path: Path) -> None:
    eventually(lambda: not valkey.hlen("dramatiq:instant.msgs"))
    assert not list(valkey.scan_iter("imageblur:instant*"))
    assert [path for path in files_below(tmp_path / "blobs") if path.name != "lock"] == []
    database = Database(settings.database_url)
    with database.read() as session:
        for table in (Order, ImageRow, UnownedBlobs):
            assert not session.scalar(select(func.count()).select_from(table))
    database.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("direct", [True, False])
def test_a_call_goes_to_another_worker_when_its_worker_is_killed(
    settings: GatewaySettings,
    processes: Any,
    valkey: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    direct: bool,
) -> None:
    monkeypatch.setattr(direct_workers, "TAKE_SECONDS", 30.0)  # a busy machine is no reason for the queue
    if not direct:  # as from another machine
        monkeypatch.setattr(DirectWorkers, "learn", lambda *_: None)
    first = processes("services.blur_worker")
    with running(settings.model_copy(update={"instant_seconds": SECONDS})) as gateway:
        with held_call(gateway.blur, first) as answer:
            # The worker acknowledges the call before this one after its answer.
            eventually(lambda: valkey.hlen("dramatiq:instant.msgs") == (0 if direct else 1))
            second = processes("services.blur_worker")
            assert not answer.done()
            first.kill()
            assert (answer.result(SECONDS).width, answer.result().height) == photo().size
        eventually(lambda: second.says("SUCCEEDED"))
        assert_nothing_left(settings, valkey, tmp_path)


@pytest.mark.timeout(600)
def test_without_another_worker_the_call_fails_and_is_to_be_repeated(
    settings: GatewaySettings, processes: Any, valkey: redis.Redis
) -> None:
    worker = processes("services.blur_worker")
    with running(settings.model_copy(update={"instant_seconds": SECONDS})) as gateway:
        gateway.blur.BlurImage(REQUEST, timeout=SECONDS)  # its first child process may take more than the 10 s
    with (
        running(settings.model_copy(update={"instant_seconds": 10})) as gateway,
        held_call(gateway.blur, worker) as answer,
    ):
        worker.kill()
        error: Any = answer.exception(60)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        valkey.flushall()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("valkey")
def test_a_worker_that_stops_answers_first(settings: GatewaySettings, processes: Any) -> None:
    worker = processes("services.blur_worker")
    with running(settings.model_copy(update={"instant_seconds": SECONDS})) as gateway:
        with held_call(gateway.blur, worker) as answer:
            worker.process.send_signal(signal.SIGTERM)
        assert answer.result(SECONDS).width == photo().width
        assert worker.process.wait(60) == 0


@pytest.mark.timeout(600)
def test_a_gateway_that_is_killed_leaves_nothing(
    settings: GatewaySettings, processes: Any, valkey: redis.Redis, tmp_path: Path
) -> None:
    worker = processes("services.blur_worker")
    port = free_port()
    gateway = processes("services.gateway", IMAGEBLUR_GATEWAY_ADDRESS=f"127.0.0.1:{port}")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(60)
        with held_call(BlurServiceStub(channel), worker) as answer:
            gateway.kill()
            error: Any = answer.exception(60)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        eventually(lambda: worker.says("ABANDONED"), within=SECONDS)
        assert_nothing_left(settings, valkey, tmp_path)
