"""Resumable uploads after a cut line, a killed gateway and a change of the gateway; never too many of them."""

import contextlib
import errno
import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb
from sqlalchemy import func, select

from services.common.db.engine import Database
from services.common.db.models import Image, Order, UploadImage
from services.common.domain.orders import original_key
from services.common.infra.blobs import BlobStore, folder
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.reading import UploadReader
from services.gateway.uploads.requests import ParsedUpload
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import HEADER, fields, refused
from tests.integration.gateway.uploads.uploading import (
    FILES,
    WHOLE,
    append,
    check_stored,
    complete,
    create,
    files,
    messages,
    reason,
    received,
    request,
    small_parts,
)
from tests.support.ids import UNKNOWN_ID
from tests.support.waiting import eventually

__all__ = ["small_parts"]


def test_an_upload_in_any_number_of_calls_becomes_an_order(
    gateway: Gateway, database: Database, valkey: redis.Redis
) -> None:
    upload = create(gateway)
    assert (upload.size_bytes, upload.received_bytes, upload.image_count) == (len(WHOLE), 0, 5)
    offset, steps = 0, random.Random(1)
    while offset < len(WHOLE):
        chunks = [WHOLE[offset : offset + (first := steps.randrange(1, 50_000))]]
        chunks.append(WHOLE[offset + first : offset + first + steps.randrange(50_000)])
        sent = sum(map(len, chunks))
        assert append(gateway, upload.upload_id, offset, *chunks) == offset + sent
        offset += sent
    with database.read() as session:  # nothing of it is visible before it is completed
        assert session.scalar(select(func.count()).select_from(Order)) == 0
    assert not valkey.llen("dramatiq:blur")
    order = complete(gateway, upload.upload_id)
    assert order.order_id == upload.upload_id
    assert order.counts.total == 5
    assert valkey.llen("dramatiq:blur") > 0
    check_stored(gateway, database, order.order_id)
    # Idempotent, and still to be found.
    assert complete(gateway, upload.upload_id).order_id == order.order_id
    found = gateway.blur.GetUpload(pb.GetUploadRequest(upload_id=upload.upload_id)).upload
    assert (found.completed, found.received_bytes) == (True, len(WHOLE))
    late = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.AppendUpload, messages(order.order_id, 0, b"x"))
    assert reason(late) == "UPLOAD_OFFSET"


def test_what_arrived_before_the_line_was_cut_is_kept(gateway: Gateway, database: Database) -> None:
    upload_id = create(gateway).upload_id
    sent, cut = threading.Event(), threading.Event()

    def until_cut() -> Iterator[pb.AppendUploadRequest]:
        yield from messages(upload_id, 0, WHOLE[:95_000])
        sent.set()
        cut.wait(10)

    call = gateway.blur.AppendUpload.future(until_cut())
    assert sent.wait(10)
    eventually(lambda: received(gateway, upload_id) > 0)  # recorded while the call goes on
    call.cancel()
    cut.set()
    eventually(lambda: received(gateway, upload_id) == 95_000)
    append(gateway, upload_id, 95_000, WHOLE[95_000:])
    check_stored(gateway, database, complete(gateway, upload_id).order_id)


def test_what_the_disk_may_have_lost_is_sent_again(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk reports an error once: what is synced afterwards seems to be there."""
    upload_id, sync = create(gateway).upload_id, folder._sync_one
    failures = iter([OSError(errno.EIO, "Input/output error")])

    def fail_once(path: Path) -> None:
        if path.is_file() and (failure := next(failures, None)):
            raise failure
        sync(path)

    monkeypatch.setattr(folder, "_sync_one", fail_once)
    refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.AppendUpload, messages(upload_id, 0, WHOLE))
    assert next(failures, None) is None
    assert received(gateway, upload_id) == 0
    append(gateway, upload_id, 0, WHOLE)
    check_stored(gateway, database, complete(gateway, upload_id).order_id)


def test_a_line_that_is_cut_anywhere_leaves_a_whole_upload(gateway: Gateway, database: Database) -> None:
    """Also while an image is being joined of its parts."""
    choice = random.Random(7)
    for _ in range(12):
        upload_id, offset = create(gateway).upload_id, 0
        while offset < len(WHOLE):
            enough = threading.Event()

            def parts(upload_id: str, begin: int, enough: threading.Event) -> Iterator[pb.AppendUploadRequest]:
                yield from messages(upload_id, begin)
                for at in range(begin, len(WHOLE), 7_000):
                    yield pb.AppendUploadRequest(chunk=WHOLE[at : at + 7_000])
                enough.wait(10)

            call = gateway.blur.AppendUpload.future(parts(upload_id, offset, enough))
            enough.wait(choice.random() * 0.03)
            call.cancel()
            enough.set()
            offset = received(gateway, upload_id)
            if choice.random() < 0.5:
                offset = append_somehow(gateway, upload_id)
        complete(gateway, upload_id)
        blobs = BlobStore(gateway.settings.blob_url)
        assert [blobs.get(original_key(upload_id, n)) for n in range(1, 6)] == FILES
        gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=upload_id))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(UploadImage)) == 0


@pytest.mark.parametrize("consumed", [False, True])
def test_a_call_that_is_late_leaves_the_originals_of_the_order(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch, consumed: bool
) -> None:
    """It has stored them, a later call has recorded them, and the order is placed, perhaps with an image blurred."""
    upload_id, late, persist = create(gateway).upload_id, threading.Event(), BlobStore.persist
    calls: list[None] = []

    def persist_late(blobs: BlobStore, *keys: str) -> None:
        calls.append(None)
        if len(calls) == 1:
            assert late.wait(20)
        persist(blobs, *keys)

    monkeypatch.setattr(BlobStore, "persist", persist_late)
    first: Any = gateway.blur.AppendUpload.future(messages(upload_id, 0, WHOLE))
    eventually(lambda: calls)
    append(gateway, upload_id, 0, WHOLE)
    order_id = complete(gateway, upload_id).order_id
    blobs = BlobStore(gateway.settings.blob_url)
    if consumed:
        blobs.delete(original_key(order_id, 1))
    late.set()
    assert reason(first.exception(timeout=20)) == "UPLOAD_SUPERSEDED"
    left = [blobs.get(original_key(order_id, position)) for position in range(1 + consumed, 6)]
    assert left == FILES[consumed:]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 1


def append_somehow(gateway: Gateway, upload_id: str) -> int:
    """Append a few bytes, from wherever the upload is when the call comes."""
    for _ in range(50):
        offset = received(gateway, upload_id)
        with contextlib.suppress(grpc.RpcError):
            return append(gateway, upload_id, offset, WHOLE[offset : offset + 20_000])
    pytest.fail("another call goes on appending")


def test_another_gateway_goes_on(gateway: Gateway, settings: GatewaySettings, database: Database) -> None:
    upload_id = create(gateway).upload_id
    append(gateway, upload_id, 0, WHOLE[:50_000])
    with running(settings) as other:
        append(other, upload_id, 50_000, WHOLE[50_000:200_000])
    append(gateway, upload_id, 200_000, WHOLE[200_000:])
    check_stored(gateway, database, complete(gateway, upload_id).order_id)


def test_a_later_call_takes_over(gateway: Gateway, database: Database) -> None:
    upload_id = create(gateway).upload_id
    sent, taken = threading.Event(), threading.Event()

    def stalled() -> Iterator[pb.AppendUploadRequest]:
        yield from messages(upload_id, 0, WHOLE[:30_000])
        sent.set()
        taken.wait(10)
        yield pb.AppendUploadRequest(chunk=b"\0" * 100_000)  # other bytes than the later call's

    first = gateway.blur.AppendUpload.future(stalled())
    assert sent.wait(10)
    eventually(lambda: len(gateway.files()) > 1)  # the first image, so it has begun
    # The first image is stored, but nothing is recorded yet: it is sent again.
    assert append(gateway, upload_id, 0, WHOLE[:60_000]) == 60_000
    taken.set()
    with pytest.raises(grpc.RpcError) as error:
        first.result()
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "UPLOAD_SUPERSEDED"
    append(gateway, upload_id, 60_000, WHOLE[60_000:])
    check_stored(gateway, database, complete(gateway, upload_id).order_id)


def test_completions_at_once_place_one_order(gateway: Gateway, database: Database) -> None:
    upload_id = create(gateway).upload_id
    append(gateway, upload_id, 0, WHOLE)
    request = pb.CompleteUploadRequest(upload_id=upload_id)
    orders = [call.result().order for call in [gateway.blur.CompleteUpload.future(request) for _ in range(8)]]
    assert {order.order_id for order in orders} == {upload_id}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 5


def test_a_completion_that_comes_while_another_cleans_up_finds_the_order(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = create(gateway).upload_id
    append(gateway, upload_id, 0, WHOLE)
    manifest = UploadReader.manifest
    calls: list[UUID] = []

    def late(self: UploadReader, wanted: UUID) -> ParsedUpload:
        calls.append(wanted)
        if len(calls) == 1:
            complete(gateway, upload_id)  # another call, from its begin to its end
        return manifest(self, wanted)

    monkeypatch.setattr(UploadReader, "manifest", late)
    assert complete(gateway, upload_id).order_id == upload_id
    assert len(calls) == 2


def test_a_repeated_creation_finds_the_upload(gateway: Gateway) -> None:
    request_id = str(uuid4())
    upload = create(gateway, request_id=request_id)
    append(gateway, upload.upload_id, 0, WHOLE[:70_000])
    again = create(gateway, request_id=request_id)
    assert (again.upload_id, again.received_bytes) == (upload.upload_id, 70_000)
    other = request(files(3), request_id=request_id)
    assert reason(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.CreateUpload, other)) == "REQUEST_ID_REUSED"
    append(gateway, upload.upload_id, 70_000, WHOLE[70_000:])
    complete(gateway, upload.upload_id)
    assert create(gateway, request_id=request_id).completed
    # One that was deleted begins anew.
    second = str(uuid4())
    deleted = create(gateway, request_id=second).upload_id
    gateway.blur.DeleteUpload(pb.DeleteUploadRequest(upload_id=deleted))
    assert create(gateway, request_id=second).upload_id != deleted


def test_wrong_requests_are_refused_with_the_field_named(gateway: Gateway) -> None:
    images = [
        pb.ImageStart(filename="a.jpg"),
        pb.ImageStart(filename="b.jpg", size_bytes=0),
        pb.ImageStart(filename="c.jpg", size_bytes=600_001),
    ]
    wrong = pb.CreateUploadRequest(order=pb.OrderHeader(email="no address"), images=images)
    found = fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.CreateUpload, wrong))
    assert found["images[0].size_bytes"] == "is required"
    assert found["images[1].data"] == "is empty"
    assert found["images[2].data"] == "is larger than 600000 bytes"
    assert "order.email" in found
    none = pb.CreateUploadRequest(order=HEADER)
    assert "images" in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.CreateUpload, none))
    dry_run = gateway.blur.CreateUpload(request(validate_only=True)).upload
    assert (dry_run.upload_id, dry_run.size_bytes) == ("", len(WHOLE))
    assert gateway.files() == []

    upload_id = create(gateway).upload_id
    early = refused(
        grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.CompleteUpload, pb.CompleteUploadRequest(upload_id=upload_id)
    )
    assert reason(early) == "UPLOAD_INCOMPLETE"
    gap = refused(grpc.StatusCode.FAILED_PRECONDITION, gateway.blur.AppendUpload, messages(upload_id, 7, b"x"))
    assert reason(gap) == "UPLOAD_OFFSET"
    assert "0 bytes" in str(gap.details())
    more = messages(upload_id, 0, WHOLE + b"x")
    assert "chunk" in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.AppendUpload, more))
    assert received(gateway, upload_id) == len(WHOLE)
    no_start = iter([pb.AppendUploadRequest(chunk=b"x")])
    assert "start" in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.AppendUpload, no_start))
    refused(grpc.StatusCode.NOT_FOUND, gateway.blur.AppendUpload, messages(UNKNOWN_ID, 0, b"x"))
    for call, kind in (
        (gateway.blur.GetUpload, pb.GetUploadRequest),
        (gateway.blur.CompleteUpload, pb.CompleteUploadRequest),
        (gateway.blur.DeleteUpload, pb.DeleteUploadRequest),
    ):
        refused(grpc.StatusCode.NOT_FOUND, call, kind(upload_id=UNKNOWN_ID))
        assert "upload_id" in fields(refused(grpc.StatusCode.INVALID_ARGUMENT, call, kind(upload_id="x")))


def test_an_image_with_another_hash_is_sent_again(gateway: Gateway, database: Database) -> None:
    wanted = request()
    for start, data in zip(wanted.images, FILES, strict=True):
        start.sha256 = hashlib.sha256(data).digest()
    upload_id = gateway.blur.CreateUpload(wanted).upload.upload_id
    damaged = bytearray(WHOLE[:140_000])
    damaged[5_000] ^= 1
    for begin in (0, 60_000):
        end = begin + 60_000
        if begin:
            error = refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                gateway.blur.AppendUpload,
                messages(upload_id, begin, bytes(damaged[begin:])),
            )
            assert "images[1].sha256" in fields(error)
        else:
            append(gateway, upload_id, begin, bytes(damaged[begin:end]))
    assert received(gateway, upload_id) == 1_000
    append(gateway, upload_id, 1_000, WHOLE[1_000:])
    check_stored(gateway, database, complete(gateway, upload_id).order_id)
