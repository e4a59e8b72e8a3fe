"""The outcome of an image, by what happens in the child process and to the worker's dependencies."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, update
from structlog.testing import capture_logs

from services.blur_worker.child.answers import ModelMissing
from services.blur_worker.child.pool import ChildCrashed
from services.blur_worker.child.process import BlurredFile
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.time_slice import TimeSlice
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_outcomes, snapshots
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.orders import ImageQueue, ImageState, OrderState, original_key, result_key
from services.common.domain.retries import MAX_ATTEMPTS, MAX_CRASHES, RETRYABLE
from services.common.domain.spec import Format
from services.common.infra.blobs import MissingBlob
from services.common.infra.messaging.messages import BLUR_QUEUE, FIND_QUEUE, MAIL_QUEUE
from tests.support.blur_workers import blur_worker
from tests.support.factories import PlacedOrder, enqueue_again, new_images, place_order
from tests.support.fakes import FakeBlobs, FakeBroker, FakeChildPool, HourlyClock
from tests.support.findings import FACES, FIND_FACES, announce, finding, inspection

BLURRED = BlurredFile(
    size=7,
    sha256="ab" * 32,
    width=40,
    height=30,
    format=Format.JPEG,
    path="jpeg-coefficients",
    seconds={"decode": 0.1},
    crc32=0x12AB,
)


@pytest.fixture
def children() -> FakeChildPool:
    return FakeChildPool(BLURRED)


@pytest.fixture
def blur(
    database: Database, blobs: FakeBlobs, broker: FakeBroker, children: FakeChildPool, tmp_path: Path
) -> Iterator[BlurImage]:
    with blur_worker(database, blobs, broker, children, tmp_path, window=1) as blur:
        yield blur


@pytest.fixture
def order(database: Database, blobs: FakeBlobs) -> PlacedOrder:
    """One image, and an e-mail when it is done."""
    order = place_order(database, notify=True)
    blobs.put(original_key(order.id, 1), b"original")
    return order


def row(database: Database, order: PlacedOrder) -> Image:
    with database.read() as session:
        return session.get_one(Image, order.image_ids[0])


def count(outcome: str) -> float:
    return total("imageblur_images_total", outcome=outcome)


def total(name: str, **labels: str) -> float:
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_a_result_is_stored_and_ends_the_order(
    blur: BlurImage, order: PlacedOrder, database: Database, blobs: FakeBlobs, broker: FakeBroker
) -> None:
    before = count("SUCCEEDED")
    blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.attempts, image.owner) == (ImageState.SUCCEEDED, 1, None)
    assert (image.output_bytes, image.width, image.height, image.format) == (7, 40, 30, "JPEG")
    assert (image.output_crc32, image.result_crc32) == ("000012ab" + "ab" * 4, 0x12AB)
    assert blobs.blobs == {result_key(order.id, 1): b"blurred"}, "and the original is removed"
    assert broker.announced == [(order.id, False), (order.id, True)]
    assert len(broker.subjects(MAIL_QUEUE)) == 1
    assert count("SUCCEEDED") == before + 1
    with database.read() as session:
        assert snapshots.get_snapshot(session, order.id).order.state == OrderState.SUCCEEDED
    blur(order.image_ids[0])
    assert row(database, order).attempts == 1, "a repeated message does nothing"


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.name.startswith("MAIL")])
def test_an_image_that_cannot_be_blurred_fails_at_once_with_the_reason(
    blur: BlurImage,
    order: PlacedOrder,
    database: Database,
    blobs: FakeBlobs,
    children: FakeChildPool,
    *,
    reason: Reason,
) -> None:
    children.errors = [ImageError(reason, "because")]
    before = count("FAILED")
    blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.reason, image.message, image.attempts) == (ImageState.FAILED, reason, "because", 1)
    # An operator may retry a failure that is not the file's.
    assert bool(blobs.blobs) == (reason in RETRYABLE)
    assert count("FAILED") == before + 1
    with database.read() as session:
        assert snapshots.get_snapshot(session, order.id).order.state == OrderState.FAILED


@pytest.mark.parametrize(
    ("error", "attempts", "crashes"),
    [
        (ChildCrashed("exit code -11"), 1, 1),
        (FileNotFoundError("the result"), 1, 0),
        (OSError("scratch"), 1, 0),
        (OSError(errno.ENOSPC, "no space left on device"), 0, 0),
        (OSError(errno.EROFS, "read-only file system"), 0, 0),
        (RuntimeError("a fault of ours"), 1, 0),
        (Unavailable("no child process became idle"), 0, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_may_not_be_the_image_s_fault_is_retried(
    blur: BlurImage,
    order: PlacedOrder,
    database: Database,
    blobs: FakeBlobs,
    children: FakeChildPool,
    *,
    error: Exception,
    attempts: int,
    crashes: int,
) -> None:
    children.errors = [error]
    before = count("RETRY")
    blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.attempts, image.crashes) == (ImageState.QUEUED, attempts, crashes)
    assert (image.owner, image.enqueued_at) == (None, None)
    assert image.not_before > 0
    assert list(blobs.blobs) == [original_key(order.id, 1)]
    assert count("RETRY") == before + 1
    enqueue_again(database)
    blur(order.image_ids[0])
    assert row(database, order).state == ImageState.SUCCEEDED


def test_a_store_that_is_full_or_unavailable_costs_no_attempt(
    blur: BlurImage, order: PlacedOrder, database: Database, blobs: FakeBlobs
) -> None:
    blobs.fail_to_store = Unavailable("the blob store cannot be reached or is full")
    blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.attempts) == (ImageState.QUEUED, 0)


def test_an_image_crashes_so_often_and_not_once_more(
    blur: BlurImage, order: PlacedOrder, database: Database, blobs: FakeBlobs, children: FakeChildPool
) -> None:
    children.errors = [ChildCrashed("exit code -11") for _ in range(MAX_CRASHES)]
    for _ in range(MAX_CRASHES):
        assert row(database, order).state == ImageState.QUEUED
        enqueue_again(database)
        blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.reason, image.attempts) == (ImageState.FAILED, Reason.CRASHED, MAX_CRASHES)
    assert list(blobs.blobs) == [original_key(order.id, 1)], "an operator may retry it"


def test_the_result_of_another_worker_is_left(
    blur: BlurImage, order: PlacedOrder, database: Database, blobs: FakeBlobs, children: FakeChildPool
) -> None:
    def claim_again() -> None:
        children.while_blurring = lambda: None
        with database.write() as session:
            # As the sweep does when a lease has run out.
            session.execute(update(Image).values(state=ImageState.QUEUED, owner=None, lease_until=None, enqueued_at=1))
        blur(order.image_ids[0])

    children.while_blurring = claim_again
    blur(order.image_ids[0])
    image = row(database, order)
    assert (image.state, image.attempts) == (ImageState.SUCCEEDED, 2)
    assert list(blobs.blobs) == [result_key(order.id, 1)]


@pytest.mark.parametrize("failures", [1, 2])
def test_an_outcome_is_recorded_once_the_database_is_back(
    blur: BlurImage, order: PlacedOrder, database: Database, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    finish = image_outcomes.finish_all
    errors = [Unavailable("the database cannot be reached")] * failures

    def fail_first(*arguments: Any, **options: Any) -> list[image_outcomes.EndedClaim | None]:
        if errors:
            raise errors.pop()
        return finish(*arguments, **options)

    monkeypatch.setattr(image_outcomes, "finish_all", fail_first)
    monkeypatch.setattr("services.common.db.engine.time.sleep", lambda _: None)
    blur(order.image_ids[0])
    assert row(database, order).state == ImageState.SUCCEEDED


def test_an_outcome_that_cannot_be_recorded_is_left_to_the_lease(
    blur: BlurImage, order: PlacedOrder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable("the database cannot be reached")

    monkeypatch.setattr(image_outcomes, "finish_all", fail)
    monkeypatch.setattr("services.common.db.engine.time", HourlyClock())
    with pytest.raises(Unavailable):
        blur(order.image_ids[0])
    assert row(database, order).state == ImageState.RUNNING


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (None, {"outcome": "SUCCEEDED", "path": "jpeg-coefficients", "pixels": 1200, "decode_seconds": 0.1}),
        (ImageError(Reason.CORRUPT, "cut off"), {"outcome": "FAILED", "reason": "CORRUPT"}),
        (ChildCrashed("exit code -11"), {"outcome": "RETRY", "cause": "child crashed: exit code -11"}),
    ],
    ids=["succeeded", "failed", "crashed"],
)
def test_each_attempt_has_one_line(
    blur: BlurImage, order: PlacedOrder, children: FakeChildPool, error: Exception | None, fields: dict[str, object]
) -> None:
    children.errors = [error] if error else []
    with capture_logs() as lines:
        blur(order.image_ids[0])
    (line,) = [line for line in lines if line["event"] == "image"]
    assert fields.items() <= line.items()
    assert (line["queue"], line["order"], line["image"]) == (BLUR_QUEUE, str(order.id), str(order.image_ids[0]))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, there is time for more images."""
    monkeypatch.setattr("services.blur_worker.images.time_slice.TIME_SLICE_SECONDS", 600)
    monkeypatch.setattr("services.blur_worker.images.time_slice.TOGETHER_SECONDS", 600)


def place_several(database: Database, blobs: FakeBlobs, count: int) -> PlacedOrder:
    order = place_order(database, count)
    for position in range(1, count + 1):
        blobs.put(original_key(order.id, position), b"original")
    return order


def states(database: Database) -> list[tuple[str, int]]:
    with database.read() as session:
        return [(image.state, image.attempts) for image in session.scalars(select(Image).order_by(Image.position))]


@pytest.mark.usefixtures("unhurried")
def test_the_next_images_are_claimed_and_recorded_together(
    blur: BlurImage, database: Database, blobs: FakeBlobs, children: FakeChildPool, broker: FakeBroker
) -> None:
    order = place_several(database, blobs, 5)
    seen: list[list[tuple[str, int]]] = []
    children.while_blurring = lambda: seen.append(states(database))
    blur(order.image_ids[0])
    assert seen[1:] == [[("SUCCEEDED", 1), *[("RUNNING", 1)] * 4]] * 4
    assert states(database) == [("SUCCEEDED", 1)] * 5
    assert len(blobs.blobs) == 5, "results alone"
    assert broker.announced == [(order.id, False), (order.id, False), (order.id, True)]


@pytest.mark.usefixtures("unhurried")
def test_images_behind_a_slow_one_are_left_to_other_workers(
    blur: BlurImage, database: Database, blobs: FakeBlobs, children: FakeChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = place_several(database, blobs, 5)
    blurred = 0

    def take_long_on_the_second() -> None:
        nonlocal blurred
        blurred += 1
        if blurred == 2:
            monkeypatch.setattr("services.blur_worker.images.time_slice.TIME_SLICE_SECONDS", -1000)
            monkeypatch.setattr(TimeSlice, "count_next", lambda _self, _seconds, _ready: 0)

    children.while_blurring = take_long_on_the_second
    blur(order.image_ids[0])
    assert blurred == 2
    assert states(database)[:2] == [("SUCCEEDED", 1)] * 2
    assert states(database)[2:] == [("QUEUED", 0)] * 3, "an attempt that was not begun does not count"
    with database.read() as session:
        assert session.get_one(Image, order.image_ids[2]).enqueued_at, "nor need it wait"


@pytest.mark.usefixtures("unhurried")
def test_of_images_recorded_together_each_has_its_own_outcome(
    blur: BlurImage, database: Database, blobs: FakeBlobs, children: FakeChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = place_several(database, blobs, 5)
    errors: list[Exception | None] = [None, ImageError(Reason.CORRUPT, "?"), ChildCrashed("?"), None, None]

    def fail() -> None:
        if error := errors.pop(0):
            children.errors.append(error)

    children.while_blurring = fail

    def persist(*keys: str) -> None:
        if result_key(order.id, 4) in keys:
            raise MissingBlob(result_key(order.id, 4))

    monkeypatch.setattr(blobs, "persist", persist)
    blur(order.image_ids[0])
    assert states(database) == [("SUCCEEDED", 1), ("FAILED", 1), ("QUEUED", 1), ("QUEUED", 1), ("SUCCEEDED", 1)]


@pytest.mark.usefixtures("unhurried")
def test_no_result_is_recorded_once_the_disk_has_reported_an_error(
    blur: BlurImage, database: Database, blobs: FakeBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = place_several(database, blobs, 5)
    synced: list[int] = []

    def persist(*keys: str) -> None:
        # As a disk does: only the first call after the loss reports it.
        synced.append(len(keys))
        if len(synced) == 2:
            monkeypatch.setattr(TimeSlice, "count_next", lambda _self, _seconds, _ready: 0)
            raise Unavailable("the disk reports an error")

    monkeypatch.setattr(blobs, "persist", persist)
    blur(order.image_ids[0])
    assert synced == [1, 4]
    assert states(database) == [("SUCCEEDED", 1), *[("QUEUED", 0)] * 4]


@pytest.mark.usefixtures("unhurried")
def test_an_image_that_is_much_larger_keeps_no_results_waiting(
    blur: BlurImage, database: Database, blobs: FakeBlobs, children: FakeChildPool
) -> None:
    order = place_several(database, blobs, 5)
    with database.write() as session:
        session.execute(update(Image).where(Image.position == 4).values(input_bytes=Image.input_bytes * 100))
    seen: list[list[tuple[str, int]]] = []
    children.while_blurring = lambda: seen.append(states(database))
    blur(order.image_ids[0])
    assert states(database) == [("SUCCEEDED", 1)] * 5
    large = next(rows for rows in seen if rows[1:3] == [("SUCCEEDED", 1)] * 2)
    assert large[3] == ("RUNNING", 1), "the results before it are recorded"


def test_after_its_time_slice_the_next_image_is_enqueued(
    blur: BlurImage, database: Database, blobs: FakeBlobs, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = place_order(database, 2)
    blobs.put(original_key(order.id, 1), b"original")
    monkeypatch.setattr("services.blur_worker.images.time_slice.TIME_SLICE_SECONDS", 0)
    blur(order.image_ids[0])
    assert broker.subjects(BLUR_QUEUE) == [str(order.image_ids[1])]


@pytest.fixture
def searched(database: Database, blobs: FakeBlobs) -> PlacedOrder:
    """An order of two images with something to find, of which one is enqueued."""
    new = new_images(count=2, queue=ImageQueue.FIND)
    order = place_order(database, new, spec=FIND_FACES.to_json())
    for position in (1, 2):
        blobs.put(original_key(order.id, position), b"original")
    return order


def test_what_was_found_is_stored_counted_and_logged(
    blur: BlurImage, searched: PlacedOrder, database: Database, children: FakeChildPool
) -> None:
    found = inspection(finding(), finding(applied=False), state=CheckState.REMAINING)
    children.result = replace(BLURRED, inspection=found)
    names = ("imageblur_findings_total", "imageblur_checks_total")
    before = [total(names[0], kind="FACE", applied=a) for a in ("true", "false")] + [total(names[1], state="REMAINING")]
    with capture_logs() as lines:
        blur(searched.image_ids[0], ImageQueue.FIND)
    after = [total(names[0], kind="FACE", applied=a) for a in ("true", "false")] + [total(names[1], state="REMAINING")]
    stored = row(database, searched)
    assert Inspection.from_json(stored.findings or "") == found
    line = next(line for line in lines if line["event"] == "image")
    assert (line["queue"], line["findings"], line["check"]) == (FIND_QUEUE, 2, "REMAINING")
    with database.read() as session:
        states = {session.get_one(Image, image_id).state for image_id in searched.image_ids}
    assert states == {ImageState.SUCCEEDED}, "the time slice goes on in the queue"
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2, 2]


def test_a_message_in_the_wrong_queue_claims_nothing(
    blur: BlurImage, searched: PlacedOrder, database: Database
) -> None:
    blur(searched.image_ids[0])
    assert (row(database, searched).state, row(database, searched).attempts) == (ImageState.QUEUED, 0)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_an_image_waits_for_a_worker_that_has_the_model_if_there_is_one(
    blur: BlurImage, searched: PlacedOrder, database: Database, children: FakeChildPool, *, elsewhere: bool
) -> None:
    if elsewhere:
        announce(database, FACES)
    children.errors = [ModelMissing("no model for FACE")]
    blur(searched.image_ids[0], ImageQueue.FIND)
    waiting = row(database, searched)
    assert (waiting.state, waiting.attempts) == (ImageState.QUEUED, 0 if elsewhere else 1)
    assert waiting.enqueued_at is None


def test_an_image_whose_model_no_worker_has_fails_in_the_end(
    blur: BlurImage, searched: PlacedOrder, database: Database, children: FakeChildPool
) -> None:
    children.errors = [ModelMissing("no model for FACE")] * MAX_ATTEMPTS
    for _ in range(MAX_ATTEMPTS):
        enqueue_again(database)
        blur(searched.image_ids[0], ImageQueue.FIND)
    failed = row(database, searched)
    assert (failed.state, failed.reason) == (ImageState.FAILED, Reason.INTERNAL)
