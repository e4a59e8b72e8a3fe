"""Results written to targets, and workers that come too late with theirs."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.images.attempt import AttemptImage
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.leases import RenewImageLeases
from services.blur_worker.images.result_limit import ResultLimit
from services.blur_worker.images.targets import Targets
from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.db.orders import image_claims, image_outcomes, new_orders, orders, revisions
from services.common.domain.errors import Unavailable
from services.common.domain.orders import original_key, result_key
from services.common.domain.retries import MAX_SOURCE_ATTEMPTS
from services.common.domain.spec import BlurSpec, Gaussian
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.places import Places
from services.common.infra.places.stores import PlaceStore
from services.common.use_cases.order_lifecycle import make_lifecycle
from services.scheduler.sweep import Sweep
from tests.support.factories import new_images, new_order, place_order
from tests.support.images import encode, photo

PHOTO = encode(photo(40, 30), "JPEG")
STRONG = BlurSpec(effect=Gaussian(sigma=20)).to_json()
MakeBlur = Callable[[Places], BlurImage]


@pytest.fixture
def make_blur(database: Database, blobs: BlobStore, queues: Broker, children: ChildPool) -> Iterator[MakeBlur]:
    scratch = ScratchFolder(blobs.folder)

    def make(places: Places) -> BlurImage:
        targets = Targets(database=database, blobs=blobs, places=places, scratch=scratch.path, sleep=lambda _: None)
        limit = ResultLimit(database=database, max_order_bytes=1 << 30)
        attempt = AttemptImage(blobs=blobs, children=children, scratch=scratch, targets=targets, result_limit=limit)
        return BlurImage(
            database=database,
            blobs=blobs,
            attempt=attempt,
            leases=Leases(RenewImageLeases(database)),
            lifecycle=make_lifecycle(database, blobs, queues, window=10),
            window=10,
        )

    yield make
    assert [path.name for path in scratch.path.iterdir()] == ["lock"], "working files are left"
    scratch.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def store(out: Path) -> PlaceStore:
    found = Places.of({"out": str(out)}).find("out")
    assert found
    return found


def row(database: Database, image_id: UUID) -> Image:
    with database.read() as session:
        return session.get_one(Image, image_id)


def place(database: Database, blobs: BlobStore) -> tuple[UUID, UUID]:
    order = place_order(database, new_images(count=1, target="out:june/1"), originals_seconds=600)
    blobs.put(original_key(order.id, 1), PHOTO)
    return order.id, order.image_ids[0]


def revise(database: Database, order_id: UUID) -> None:
    with database.write() as session:
        locked = orders.lock(session, order_id)
        assert locked
        revisions.revise_all(session, locked, STRONG)
        session.execute(update(Image).values(enqueued_at=1))


def enqueue(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Image).where(Image.state == "QUEUED").values(not_before=0, enqueued_at=1))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class HeldPlace:
    """A place of which the first write waits: `reached` is set, then it goes on with `release`."""

    def __init__(self, place: PlaceStore) -> None:
        self.read, self.list_files = place.read, place.list_files
        self._place = place
        self.reached, self.release = threading.Event(), threading.Event()
        self.writes = 0

    def write(self, key: str, file: Path) -> None:
        self.writes += 1
        if self.writes == 1:
            self.reached.set()
            assert self.release.wait(60)
        self._place.write(key, file)


def expire_lease(database: Database, blobs: BlobStore, queues: Broker) -> None:
    with database.write() as session:
        session.execute(update(Image).where(Image.state == "RUNNING").values(lease_until=0))
    Sweep(database, blobs, queues, window=10).images()
    enqueue(database)


def test_a_worker_that_wakes_up_in_its_write_does_not_replace_a_newer_result(
    *, database: Database, blobs: BlobStore, queues: Broker, make_blur: MakeBlur, store: PlaceStore, out: Path
) -> None:
    held = HeldPlace(store)
    late, other = make_blur(Places({"out": held})), make_blur(Places({"out": store}))
    order_id, image_id = place(database, blobs)
    thread = threading.Thread(target=late, args=(image_id,))
    thread.start()
    assert held.reached.wait(60)
    expire_lease(database, blobs, queues)
    other(image_id)
    first = sha256(out / "june" / "1.jpg")
    assert first == row(database, image_id).output_sha256
    revise(database, order_id)
    other(image_id)
    revised = row(database, image_id).output_sha256
    assert sha256(out / "june" / "1.jpg") == revised != first
    held.release.set()
    thread.join(60)
    assert held.writes == 2, "late, and again what counts"
    assert sha256(out / "june" / "1.jpg") == revised
    assert row(database, image_id).output_sha256 == revised


def test_a_late_write_is_mended_when_the_worker_that_has_the_image_has_ended(
    *, database: Database, blobs: BlobStore, queues: Broker, make_blur: MakeBlur, store: PlaceStore, out: Path
) -> None:
    late_place, current_place = HeldPlace(store), HeldPlace(store)
    late, current = make_blur(Places({"out": late_place})), make_blur(Places({"out": current_place}))
    waited = threading.Event()
    targets = replace(late.attempt.targets, sleep=lambda _: waited.set())
    late = replace(late, attempt=replace(late.attempt, targets=targets))
    order_id, image_id = place(database, blobs)
    threads = [threading.Thread(target=late, args=(image_id,)), threading.Thread(target=current, args=(image_id,))]
    threads[0].start()
    assert late_place.reached.wait(60)
    expire_lease(database, blobs, queues)
    make_blur(Places({"out": store}))(image_id)
    revise(database, order_id)
    threads[1].start()
    assert current_place.reached.wait(60)
    late_place.release.set()
    assert waited.wait(60), "the current one may have written already"
    current_place.release.set()
    for thread in threads:
        thread.join(60)
    assert sha256(out / "june" / "1.jpg") == row(database, image_id).output_sha256


def test_a_worker_that_has_lost_its_claim_writes_nothing(
    *,
    database: Database,
    blobs: BlobStore,
    make_blur: MakeBlur,
    store: PlaceStore,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = HeldPlace(store)
    held.release.set()
    blur, (_, image_id) = make_blur(Places({"out": held})), place(database, blobs)
    real = ChildPool.blur

    def lose(*arguments: Any) -> object:
        blurred = real(*arguments)
        with database.write() as session:
            claimed = image_claims.claim_of(session.get_one(Image, image_id), "{}")
            assert image_outcomes.release(session, claimed, crashed=False, window=10)
        return blurred

    monkeypatch.setattr(ChildPool, "blur", lose)
    blur(image_id)
    assert held.writes == 0
    assert row(database, image_id).state == "QUEUED"
    monkeypatch.undo()
    enqueue(database)
    blur(image_id)
    assert sha256(out / "june" / "1.jpg") == row(database, image_id).output_sha256


def test_a_revision_that_is_cancelled_after_its_write_leaves_the_former_result(
    *, database: Database, blobs: BlobStore, make_blur: MakeBlur, store: PlaceStore, out: Path
) -> None:
    held = HeldPlace(store)
    blur, (order_id, image_id) = make_blur(Places({"out": store})), place(database, blobs)
    blur(image_id)
    first = sha256(out / "june" / "1.jpg")
    revise(database, order_id)
    revision = make_blur(Places({"out": held}))
    thread = threading.Thread(target=revision, args=(image_id,))
    thread.start()
    assert held.reached.wait(60)
    blur.lifecycle.cancel(order_id)
    held.release.set()
    thread.join(60)
    assert sha256(out / "june" / "1.jpg") == first == row(database, image_id).output_sha256


def test_a_result_beyond_the_orders_limit_is_not_written(
    *, database: Database, blobs: BlobStore, make_blur: MakeBlur, store: PlaceStore, out: Path
) -> None:
    written: list[str] = []

    class RecordingPlace(HeldPlace):
        def write(self, key: str, file: Path) -> None:
            written.append(sha256(file))
            store.write(key, file)

    def limited(max_order_bytes: int) -> BlurImage:
        blur = make_blur(Places({"out": RecordingPlace(store)}))
        limit = ResultLimit(database=database, max_order_bytes=max_order_bytes)
        return replace(blur, attempt=replace(blur.attempt, result_limit=limit))

    _, image_id = place(database, blobs)
    limited(100)(image_id)
    failed = row(database, image_id)
    assert (failed.state, failed.reason, written, [*out.iterdir()]) == ("FAILED", "TOO_LARGE", [], [])

    order_id, image_id = place(database, blobs)
    limited(1 << 20)(image_id)
    first = row(database, image_id)
    assert written == [first.output_sha256]
    revise(database, order_id)
    limited(100)(image_id)
    revised = row(database, image_id)
    assert (revised.state, revised.reason) == ("SUCCEEDED", "TOO_LARGE")
    assert (revised.output_sha256, revised.generation) == (first.output_sha256, first.generation)
    assert set(written) == {first.output_sha256}
    assert sha256(out / "june" / "1.jpg") == first.output_sha256
    result = blobs.get(result_key(order_id, 1, first.generation))
    assert hashlib.sha256(result).hexdigest() == first.output_sha256


def test_a_repeated_attempt_and_a_revision_replace_what_was_written(
    *, database: Database, blobs: BlobStore, make_blur: MakeBlur, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blur, (order_id, image_id) = make_blur(Places.of({"out": str(out)})), place(database, blobs)
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise Unavailable("the store is away")

        patch.setattr(BlobStore, "store_file", fail)
        blur(image_id)
    assert row(database, image_id).state == "QUEUED"
    enqueue(database)
    blur(image_id)
    done = row(database, image_id)
    assert done.state == "SUCCEEDED"
    (written,) = out.rglob("*.jpg")
    assert written == out / "june" / "1.jpg"
    assert sha256(written) == done.output_sha256
    assert [path for path in out.rglob("*") if path.is_file()] == [written]
    revise(database, order_id)
    blur(image_id)
    assert sha256(written) == row(database, image_id).output_sha256 != done.output_sha256


def test_a_target_that_is_unavailable_is_tried_again_then_the_image_fails(
    database: Database, blobs: BlobStore, make_blur: MakeBlur, tmp_path: Path
) -> None:
    blur = make_blur(Places.of({"out": str(tmp_path / "missing")}))
    new = new_images(count=2, target="out:a.jpg")
    order = new_order()
    with database.write() as session:
        new_orders.insert_order(session, order, new, window=10)
        session.execute(update(Image).where(Image.id == new[1].id).values(target="gone:a.jpg"))
    for position in (1, 2):
        blobs.put(original_key(order.id, position), PHOTO)
    blur(new[0].id)
    assert row(database, new[0].id).state == "QUEUED"
    with database.write() as session:
        session.execute(
            update(Image)
            .where(Image.id == new[0].id)
            .values(not_before=0, enqueued_at=1, attempts=MAX_SOURCE_ATTEMPTS - 1)
        )
    blur(new[0].id)
    failed = row(database, new[0].id)
    assert (failed.state, failed.reason) == ("FAILED", "TARGET_UNAVAILABLE")
    assert blobs.get(original_key(order.id, 1)) == PHOTO  # for an operator's retry
    if row(database, new[1].id).state == "QUEUED":
        blur(new[1].id)
    gone = row(database, new[1].id)
    assert (gone.reason, gone.message) == ("TARGET_UNAVAILABLE", "the operator names no place gone for results")
    with database.read() as session:
        assert session.get_one(Order, order.id).state == "FAILED"


def test_a_late_write_waits_no_longer_than_its_limit(
    *, database: Database, blobs: BlobStore, make_blur: MakeBlur, store: PlaceStore, out: Path
) -> None:
    current_place = HeldPlace(store)
    current, late = make_blur(Places({"out": current_place})), make_blur(Places({"out": store})).attempt.targets
    _, image_id = place(database, blobs)
    thread = threading.Thread(target=current, args=(image_id,))
    thread.start()
    assert current_place.reached.wait(60)  # and runs as long as its place is held
    with database.read() as session:
        claim = image_claims.claim_of(session.get_one(Image, image_id), "{}")
    replace(late, sleep=lambda _: None, max_wait_seconds=0.2).restore(claim)
    assert row(database, image_id).state == "RUNNING"
    current_place.release.set()
    thread.join(60)
    assert sha256(out / "june" / "1.jpg") == row(database, image_id).output_sha256
