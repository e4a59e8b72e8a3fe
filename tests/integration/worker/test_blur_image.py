"""The worker's use case over real children, blobs, broker and database."""

import contextlib
import shutil
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.child.process import BlurredFile
from services.blur_worker.head_start import prepared as prepared_images
from services.blur_worker.head_start.prepared import PreparedImages
from services.blur_worker.images import time_slice
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.result_limit import ResultLimit
from services.common.db.engine import Database
from services.common.db.models import Image, UnownedBlobs
from services.common.db.orders import image_outcomes, orders, snapshots
from services.common.domain.errors import Unavailable
from services.common.domain.orders import original_key, result_key
from services.common.domain.retries import MAX_ATTEMPTS
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE, MAIL_QUEUE
from tests.support.blur_workers import blur_worker
from tests.support.factories import enqueue_again, place_order
from tests.support.images import encode, photo
from tests.support.waiting import eventually

OnStart = Callable[[], None]


@pytest.fixture
def blur(
    database: Database, blobs: BlobStore, queues: Broker, children: ChildPool, tmp_path: Path
) -> Iterator[BlurImage]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with blur_worker(database, blobs, queues, children, scratch, window=1) as blur:
        yield blur
    assert list(scratch.iterdir()) == []


def jpeg(width: int = 40, height: int = 30) -> bytes:
    return encode(photo(width, height), "JPEG")


def place(database: Database, blobs: BlobStore, *files: bytes, notify: bool = False) -> tuple[UUID, list[UUID]]:
    order = place_order(database, len(files), notify=notify)
    for n, data in enumerate(files, 1):
        blobs.put(original_key(order.id, n), data)
    return order.id, list(order.image_ids)


def image(database: Database, image_id: UUID) -> Image:
    with database.read() as session:
        return session.get_one(Image, image_id)


def test_an_image_is_blurred_its_original_removed_and_after_the_time_slice_the_next_one_enqueued(
    blur: BlurImage, database: Database, blobs: BlobStore, queues: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_slice, "TIME_SLICE_SECONDS", 0)
    order_id, (first, second) = place(database, blobs, jpeg(), jpeg(), notify=True)
    blur(first)
    row = image(database, first)
    assert (row.state, row.width, row.height, row.format, row.attempts) == ("SUCCEEDED", 40, 30, "JPEG", 1)
    assert len(blobs.get(result_key(order_id, 1))) == row.output_bytes
    with pytest.raises(MissingBlob):
        blobs.get(original_key(order_id, 1))
    assert (len(queues.subjects(BLUR_QUEUE)), len(queues.subjects(MAIL_QUEUE))) == (1, 0)
    blur(second)
    assert len(queues.subjects(MAIL_QUEUE)) == 1


def test_a_time_slice_continues_with_the_order_while_no_other_waits(
    blur: BlurImage, database: Database, blobs: BlobStore, queues: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_slice, "TIME_SLICE_SECONDS", 600)
    order_id, ids = place(database, blobs, jpeg(), b"no image", jpeg())
    blur(ids[0])
    assert [image(database, image_id).state for image_id in ids] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert image(database, ids[2]).attempts == 1
    assert not queues.subjects(BLUR_QUEUE)
    with database.read() as session:
        assert snapshots.get_snapshot(session, order_id).order.state == "PARTIALLY_FAILED"
    _, ids = place(database, blobs, jpeg(), jpeg())
    place(database, blobs, jpeg())
    blur(ids[0])
    assert [image(database, image_id).state for image_id in ids] == ["SUCCEEDED", "QUEUED"]
    assert queues.subjects(BLUR_QUEUE) == [str(ids[1])], "behind the other order's, which was sent before"


def test_images_that_had_a_head_start_are_recorded_together_and_like_others(
    *,
    database: Database,
    blobs: BlobStore,
    queues: Broker,
    children: ChildPool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_slice, "TIME_SLICE_SECONDS", 600)
    monkeypatch.setattr(prepared_images, "PREPARE_SECONDS", 60)
    order_id, ids = place(database, blobs, *[jpeg()] * 9)
    prepared = PreparedImages(children, blobs, tmp_path, lambda: True)
    prepared.start()
    for position in range(2, 9):
        prepared.offer(None, order_id, position, BlurSpec().to_json())
    eventually(lambda: prepared.count_ready(order_id) == 7)
    recorded: list[int] = []
    finish_all = image_outcomes.finish_all

    def count(session: Session, outcomes: Sequence[object], **rest: Any) -> Any:
        recorded.append(len(outcomes))
        return finish_all(session, outcomes, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(image_outcomes, "finish_all", count)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with blur_worker(database, blobs, queues, children, scratch, window=1, prepared=prepared) as blur:
        blur(ids[0])
    prepared.stop()
    assert recorded[:2] == [1, 7]
    rows = [image(database, image_id) for image_id in ids]
    assert {(row.state, row.output_sha256, row.width, row.format, row.attempts) for row in rows} == {
        ("SUCCEEDED", rows[0].output_sha256, 40, "JPEG", 1)
    }
    assert len({blobs.get(result_key(order_id, position)) for position in range(1, 10)}) == 1


def test_the_lease_of_the_next_image_in_a_time_slice_is_renewed(
    blur: BlurImage, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[set[UUID]] = []
    monkeypatch.setattr(time_slice, "TIME_SLICE_SECONDS", 600)
    after_commit = replace(blur.lifecycle.after_commit, announce_changed=lambda _: held.append(set(blur.leases._held)))
    observed = replace(blur, lifecycle=replace(blur.lifecycle, after_commit=after_commit))
    _, ids = place(database, blobs, jpeg(), jpeg())
    real = blur.leases.hold

    def hold(owner: UUID) -> contextlib.AbstractContextManager[None]:
        claimed.append(owner)
        return real(owner)

    claimed: list[UUID] = []
    monkeypatch.setattr(blur.leases, "hold", hold)
    observed(ids[0])
    begun, first_ended = held
    assert begun == {claimed[0]}
    assert claimed[1] in first_ended, "before anything that may take long"
    assert not blur.leases._held


def test_the_line_of_an_image_names_its_path_and_stages(blur: BlurImage, database: Database, blobs: BlobStore) -> None:
    _, (image_id,) = place(database, blobs, jpeg())
    with capture_logs() as lines:
        blur(image_id)
    (line,) = [line for line in lines if line["event"] == "image"]
    stages = [line["decode_seconds"], line["blur_seconds"], line["encode_seconds"]]
    assert (line["outcome"], line["path"], line["pixels"]) == ("SUCCEEDED", "jpeg-coefficients", 1200)
    assert 0 <= sum(stages) <= line["seconds"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"this is text", "NOT_AN_IMAGE"),
        (jpeg(400, 300)[:900], "CORRUPT"),
        (jpeg(1001, 1000), "TOO_LARGE"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "UNSUPPORTED"),
    ],
)
def test_a_bad_image_fails_with_its_reason(
    blur: BlurImage, database: Database, blobs: BlobStore, data: bytes, reason: str
) -> None:
    _, (image_id,) = place(database, blobs, data)
    blur(image_id)
    row = image(database, image_id)
    assert (row.state, row.reason) == ("FAILED", reason)
    assert row.message


TINY = (  # an empty run-length encoded BMP of 900 x 1000 pixels, whose result has 24 bits per pixel
    struct.pack("<2sIHHI", b"BM", 64, 0, 0, 62)
    + struct.pack("<IiiHHIIiiII", 40, 900, 1000, 1, 8, 1, 2, 0, 0, 2, 0)
    + bytes(8)
    + b"\0\1"
)


def limited(blur: BlurImage, database: Database, max_order_bytes: int) -> BlurImage:
    limit = ResultLimit(database=database, max_order_bytes=max_order_bytes)
    return replace(blur, attempt=replace(blur.attempt, result_limit=limit))


def test_results_that_are_much_larger_than_their_originals_have_a_limit_per_order(
    blur: BlurImage, database: Database, blobs: BlobStore
) -> None:
    order_id, ids = place(database, blobs, TINY, TINY, encode(photo(900, 1000), "JPEG"))
    with capture_logs() as lines:
        for image_id in ids:
            limited(blur, database, 1_000_000)(image_id)
    rows = [image(database, image_id) for image_id in ids]
    assert [(row.state, row.reason) for row in rows] == [
        ("SUCCEEDED", None),
        ("FAILED", "TOO_LARGE"),
        ("SUCCEEDED", None),
    ]
    assert rows[0].output_bytes == 2_700_054
    assert "the results of the order are larger than 4,000,000 bytes together" in str(rows[1].message)
    (line,) = [line for line in lines if line["event"] == "image" and line.get("image") == str(ids[1])][:1]
    assert (line["outcome"], line["reason"]) == ("FAILED", "TOO_LARGE")
    with pytest.raises(MissingBlob):
        blobs.get(result_key(order_id, 2))


def test_results_of_four_times_their_originals_have_no_limit_together(
    blur: BlurImage, database: Database, blobs: BlobStore
) -> None:
    _, ids = place(database, blobs, TINY, TINY)
    with database.write() as session:
        session.execute(update(Image).values(input_bytes=2_700_054 // 4 + 1))
    for image_id in ids:
        limited(blur, database, 1_000_000)(image_id)
    assert [image(database, image_id).state for image_id in ids] == ["SUCCEEDED", "SUCCEEDED"]


def test_an_original_that_is_not_there_is_tried_again_but_not_for_ever(
    blur: BlurImage, database: Database, blobs: BlobStore
) -> None:
    order_id, (image_id,) = place(database, blobs, jpeg())
    source = blobs.local_path(original_key(order_id, 1))
    assert source
    away = source.rename(source.with_name("away"))
    blur(image_id)
    assert image(database, image_id).state == "QUEUED"
    away.rename(source)
    enqueue_again(database)
    blur(image_id)
    assert image(database, image_id).state == "SUCCEEDED"
    _, (image_id,) = place(database, blobs, jpeg())
    blobs.delete_prefix("orders/")
    for _ in range(MAX_ATTEMPTS):
        enqueue_again(database)
        blur(image_id)
    row = image(database, image_id)
    assert (row.state, row.reason, row.attempts) == ("FAILED", "INTERNAL", MAX_ATTEMPTS)


def test_a_worker_that_comes_late_leaves_the_original_of_a_failure(
    blur: BlurImage, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id, (image_id,) = place(database, blobs, jpeg())

    def overtaken(*_: object) -> BlurredFile:
        with database.write() as session:
            session.execute(
                update(Image).values(
                    state="FAILED", reason="TIMED_OUT", owner=None, lease_until=None, finished_at=1, attempts=10
                )
            )
        raise ChildCrashed("exit code -11")

    monkeypatch.setattr(blur.attempt.children, "blur", overtaken)
    blur(image_id)
    assert blobs.get(original_key(order_id, 1))


def test_a_scratch_folder_that_was_removed_is_made_again(blur: BlurImage, database: Database, blobs: BlobStore) -> None:
    _, (image_id,) = place(database, blobs, jpeg())
    shutil.rmtree(blur.attempt.scratch.path)
    blur(image_id)
    assert image(database, image_id).state == "SUCCEEDED"
    (blur.attempt.scratch.path / "lock").touch()


def test_a_result_for_an_order_that_is_gone_is_removed(
    blur: BlurImage, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id, (image_id,) = place(database, blobs, jpeg())
    real = ChildPool.blur

    def delete_meanwhile(
        children: ChildPool, original: Path, result: Path, spec: BlurSpec, on_start: OnStart
    ) -> BlurredFile:
        blurred = real(children, original, result, spec, on_start)
        with database.write() as session:
            orders.delete_order(session, order_id)
        return blurred

    monkeypatch.setattr(ChildPool, "blur", delete_meanwhile)
    blur(image_id)
    folder = blobs.local_path(f"orders/{order_id}")
    assert folder
    assert not folder.exists()
    with database.read() as session:
        # To be removed again when no worker can be left that has its image.
        assert session.query(UnownedBlobs).one().state == "REMOVED"


def test_a_store_that_is_not_mounted_is_not_taken_for_an_empty_one(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.put("orders/x/source/000001", b"original")
    away = (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        blobs.delete("orders/x/source/000001")
    with pytest.raises(Unavailable):
        blobs.delete_prefix("orders/x/")
    away.rename(tmp_path / "blobs")
    blobs.delete_prefix("orders/x/")
    blobs.delete_prefix("orders/x/")
    with pytest.raises(MissingBlob):
        blobs.get("orders/x/source/000001")


def test_blobs_are_removed_while_others_are_written_beside_them(blobs: BlobStore) -> None:
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            # Its folder may go while it writes: then the worker tries again.
            with contextlib.suppress(MissingBlob, Unavailable):
                blobs.put(f"orders/x/result/{number % 50:06d}", b"late")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for _ in range(200):
        blobs.delete_prefix("orders/x/")
    done.set()
    for writer in writers:
        writer.join()
    blobs.delete_prefix("orders/x/")
    folder = blobs.local_path("orders/x")
    assert folder
    assert not folder.exists()
