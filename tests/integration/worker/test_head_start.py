"""Head starts, from a gateway's side over a real socket to real child processes."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import dramatiq
import pytest

from services.blur_worker import metrics
from services.blur_worker.child.pool import ChildPool
from services.blur_worker.head_start import prepared as prepared_images
from services.blur_worker.head_start.listener import HeadStartListener
from services.blur_worker.head_start.prepared import PreparedImages
from services.common.domain.orders import original_key
from services.common.domain.spec import BlurSpec, Gaussian
from services.common.infra.blobs import BlobStore
from services.common.infra.head_starts import FOLDER_PREFIX, MOST_SPEC_LENGTH, HeadStarts, socket_name
from services.common.infra.messaging.broker import Broker
from tests.support.images import encode, photo
from tests.support.waiting import eventually

SPEC = BlurSpec().to_json()
ORDER = UUID(int=1)


class Worker:
    """What a blur worker has of it: with `idle`, whether it has nothing else to do."""

    def __init__(self, children: ChildPool, folder: Path) -> None:
        self.idle = threading.Event()
        self.idle.set()
        self.blobs = BlobStore(str(folder / "blobs"))
        assert self.blobs.folder
        self.results = folder / "results"
        self.results.mkdir()
        self.prepared = PreparedImages(children, self.blobs, self.results, self.idle.is_set)
        # As in a worker: in a folder of its own below the temporary folder.
        self.sockets = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self.listener = HeadStartListener(self.sockets / socket_name(self.blobs.folder), self.prepared)
        self.outcomes: list[str] = []

    def gateway(self) -> HeadStarts:
        return HeadStarts(self.blobs.folder)

    def store(self, position: int, data: bytes | None = None, order_id: UUID = ORDER) -> str:
        key = original_key(order_id, position)
        self.blobs.put(key, data or encode(photo(40, 30), "JPEG"))
        return key

    def files(self) -> list[Path]:
        return list(self.results.iterdir())

    def has_prepared(self, count: int) -> bool:
        return self.outcomes.count("prepared") == count


@pytest.fixture
def worker(children: ChildPool, tmp_path: Path, queues: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    worker = Worker(children, tmp_path)
    monkeypatch.setattr(metrics, "count_head_start", worker.outcomes.append)
    monkeypatch.setattr(prepared_images, "PREPARE_SECONDS", 60)  # on a busy machine, too
    runs = dramatiq.Worker(queues)
    worker.listener.after_worker_boot(queues, runs)
    yield worker
    worker.listener.before_worker_shutdown(queues, runs)
    assert worker.files() == []
    assert list(worker.sockets.iterdir()) == []
    shutil.rmtree(worker.sockets)


@pytest.fixture
def gateway(worker: Worker) -> Iterator[HeadStarts]:
    gateway = worker.gateway()
    yield gateway
    gateway.close()


def test_a_result_is_what_the_child_makes_of_an_order_and_is_taken_once(
    worker: Worker, gateway: HeadStarts, children: ChildPool, tmp_path: Path
) -> None:
    key = worker.store(1)
    gateway.offer(ORDER, 1, SPEC)
    eventually(lambda: worker.has_prepared(1))
    gateway.end(ORDER, committed=True)
    assert worker.prepared.count_ready(ORDER) == 1
    usual, taken = tmp_path / "usual", tmp_path / "taken"
    original = worker.blobs.local_path(key)
    assert original
    expected = children.blur(original, usual, BlurSpec())
    blurred = worker.prepared.take(key, SPEC, taken)
    assert blurred
    assert (blurred.sha256, blurred.width, blurred.format) == (expected.sha256, expected.width, expected.format)
    assert taken.read_bytes() == usual.read_bytes()
    assert worker.prepared.take(key, SPEC, taken) is None
    assert (worker.prepared.count_ready(ORDER), worker.files()) == (0, [])


def test_of_an_upload_that_breaks_nothing_is_left(worker: Worker, gateway: HeadStarts, tmp_path: Path) -> None:
    key = worker.store(1)
    gateway.offer(ORDER, 1, SPEC)
    eventually(lambda: worker.has_prepared(1))
    gateway.end(ORDER, committed=False)
    eventually(lambda: worker.outcomes == ["prepared", "discarded"])
    assert not worker.files()
    assert worker.prepared.take(key, SPEC, tmp_path / "taken") is None


def test_of_a_gateway_that_is_killed_only_committed_orders_are_left(
    worker: Worker, gateway: HeadStarts, tmp_path: Path
) -> None:
    other = UUID(int=2)
    committed, broken = worker.store(1), worker.store(1, order_id=other)
    gateway.offer(ORDER, 1, SPEC)
    gateway.offer(other, 1, SPEC)
    eventually(lambda: worker.has_prepared(2))
    gateway.end(ORDER, committed=True)
    gateway.close()  # as the system does it for a process that is killed
    eventually(lambda: "discarded" in worker.outcomes)
    assert worker.prepared.take(broken, SPEC, tmp_path / "broken") is None
    assert worker.prepared.take(committed, SPEC, tmp_path / "taken")


def test_with_another_spec_the_result_is_discarded(worker: Worker, gateway: HeadStarts, tmp_path: Path) -> None:
    key = worker.store(1)
    gateway.offer(ORDER, 1, SPEC)
    eventually(lambda: worker.has_prepared(1))
    assert worker.prepared.take(key, BlurSpec(Gaussian(9)).to_json(), tmp_path / "taken") is None
    assert worker.files() == []


def test_what_was_ordered_goes_first_and_what_is_committed_is_not_begun(
    worker: Worker, gateway: HeadStarts, tmp_path: Path
) -> None:
    worker.idle.clear()
    waiting, other = worker.store(1), UUID(int=2)
    worker.store(1, order_id=other)
    gateway.offer(ORDER, 1, SPEC)
    gateway.offer(other, 1, SPEC)
    eventually(lambda: len(worker.prepared._images) == 2)
    assert worker.prepared.take(waiting, SPEC, tmp_path / "taken") is None, "it was claimed before it was begun"
    gateway.end(other, committed=True)
    eventually(lambda: not worker.prepared._images)
    worker.idle.set()
    worker.store(2)
    gateway.offer(ORDER, 2, SPEC)
    eventually(lambda: worker.has_prepared(1))
    assert [image.key for image in worker.prepared._images.values()] == [original_key(ORDER, 2)]


def test_an_order_with_a_bad_image_or_a_missing_one_gets_no_more(
    worker: Worker, gateway: HeadStarts, tmp_path: Path
) -> None:
    other = UUID(int=2)
    key = worker.store(1, b"no image")
    gateway.offer(ORDER, 1, SPEC)
    gateway.offer(other, 1, SPEC)
    eventually(lambda: worker.outcomes == ["failed", "failed"])
    assert worker.prepared.take(key, SPEC, tmp_path / "taken") is None
    third = UUID(int=3)
    for order_id in (ORDER, third):
        worker.store(2, order_id=order_id)
        gateway.offer(order_id, 2, SPEC)
    eventually(lambda: worker.has_prepared(1))
    assert worker.prepared.count_ready(third) == 1


def test_specs_of_many_regions_are_not_offered(worker: Worker, gateway: HeadStarts) -> None:
    for position, spec in enumerate((f"{SPEC}{' ' * MOST_SPEC_LENGTH}", SPEC), 1):
        worker.store(position)
        gateway.offer(ORDER, position, spec)
    eventually(lambda: worker.has_prepared(1))
    assert worker.prepared.take(original_key(ORDER, 1), SPEC, worker.results / "taken") is None


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_ORIGINAL_BYTES", "MOST_IMAGES"])
def test_limits(worker: Worker, gateway: HeadStarts, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    worker.store(1)
    monkeypatch.setattr(prepared_images, limit, 0)
    gateway.offer(ORDER, 1, SPEC)
    kept: list[UUID] = []
    monkeypatch.setattr(worker.prepared, "keep", kept.append)
    gateway.end(ORDER, committed=True)
    eventually(lambda: kept)
    assert not worker.has_prepared(1)


def test_what_nobody_claims_is_discarded_after_a_time(
    worker: Worker, gateway: HeadStarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.store(1)
    gateway.offer(ORDER, 1, SPEC)
    eventually(lambda: worker.has_prepared(1))
    gateway.end(ORDER, committed=True)
    monkeypatch.setattr(prepared_images, "CHECK_SECONDS", 0)
    monkeypatch.setattr(prepared_images, "KEEP_SECONDS", 0)
    gateway.offer(uuid4(), 1, SPEC)  # wakes the thread, which would do it in ten seconds
    eventually(lambda: not worker.files())


def test_what_has_lost_its_original_is_discarded(
    worker: Worker, gateway: HeadStarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = worker.store(1), worker.store(2)
    gateway.offer(ORDER, 1, SPEC)
    gateway.offer(ORDER, 2, SPEC)
    eventually(lambda: worker.has_prepared(2))
    worker.blobs.delete(gone)
    monkeypatch.setattr(prepared_images, "CHECK_SECONDS", 0)
    gateway.offer(uuid4(), 1, SPEC)
    eventually(lambda: gone not in worker.prepared._images)
    eventually(lambda: len(worker.files()) == 1)
    assert original_key(ORDER, 2) in worker.prepared._images


def test_a_gateway_finds_a_worker_that_starts_later_and_offers_nothing_to_one_of_two(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worker.blobs.folder
    gateway = HeadStarts(worker.blobs.folder)
    second = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    monkeypatch.setattr("services.common.infra.head_starts.RETRY_SECONDS", 0)
    offers: list[object] = []
    monkeypatch.setattr(worker.prepared, "offer", lambda *values: offers.append(values[1:]))
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(second / socket_name(worker.blobs.folder)))
        gateway.offer(ORDER, 1, SPEC)
        assert gateway._socket is None
    shutil.rmtree(second)
    gateway.offer(ORDER, 2, SPEC)
    eventually(lambda: offers == [(ORDER, 2, SPEC)])
    gateway.close()
