"""The blob store over a real S3 server: the same promises as over a folder."""

import asyncio
import os
from pathlib import Path

import pytest

from services.common.domain.errors import Unavailable
from services.common.infra.blobs import CHUNK, BlobStore, MissingBlob
from tests.support.s3 import SECRET, S3Server

LARGE = 13
"""In MiB: more than two pieces of a multipart upload."""


def write(store: BlobStore, key: str, pieces: int, fail: BaseException | None = None) -> bytes:
    """Write so many MiB, piece by piece; what was written."""
    written = []

    async def call() -> None:
        async with store.writer(key) as writer:
            for _ in range(pieces):
                written.append(os.urandom(CHUNK))
                await writer.write(written[-1])
            if fail:
                raise fail

    asyncio.run(call())
    return b"".join(written)


@pytest.mark.parametrize("pieces", [0, 1, LARGE])
def test_what_is_written_in_pieces_comes_back(store: BlobStore, pieces: int) -> None:
    data = write(store, "orders/a/1", pieces)
    assert store.get("orders/a/1") == data
    assert b"".join(store.stream("orders/a/1")) == data


def test_a_file_comes_back(store: BlobStore, tmp_path: Path) -> None:
    data = os.urandom(LARGE * CHUNK)
    (tmp_path / "result").write_bytes(data)
    store.store_file("orders/a/1", tmp_path / "result")
    store.persist("orders/a/1")  # S3 has done it already
    assert store.get("orders/a/1") == data
    assert store.local_path("orders/a/1") is None


def test_a_blob_that_is_not_there_is_missing(store: BlobStore) -> None:
    with pytest.raises(MissingBlob):
        store.get("orders/a/1")
    with pytest.raises(MissingBlob):
        list(store.stream("orders/a/1"))


def test_deleting_takes_those_that_are_there(store: BlobStore) -> None:
    store.put("orders/a/1", b"1")
    store.put("orders/a/2", b"2")
    store.delete("orders/a/1", "orders/a/3")
    store.delete()
    with pytest.raises(MissingBlob):
        store.get("orders/a/1")
    assert store.get("orders/a/2") == b"2"


def test_deleting_below_a_prefix_takes_all_of_it_and_nothing_else(store: BlobStore) -> None:
    for number in range(120):  # more than a page of a listing
        store.put(f"orders/a/{number:06d}", b"x")
    store.put("orders/ab/1", b"neighbour")
    store.delete_prefix("orders/a/")
    for number in range(120):
        with pytest.raises(MissingBlob):
            store.get(f"orders/a/{number:06d}")
    assert store.get("orders/ab/1") == b"neighbour"


@pytest.mark.parametrize("pieces", [1, LARGE])
def test_a_writer_that_fails_leaves_nothing(store: BlobStore, s3_server: S3Server, pieces: int) -> None:
    with pytest.raises(KeyError):
        write(store, "orders/a/1", pieces, KeyError())
    with pytest.raises(MissingBlob):
        store.get("orders/a/1")
    assert s3_server.unfinished_uploads() == []


def test_a_writer_that_is_cancelled_leaves_nothing(store: BlobStore, s3_server: S3Server) -> None:
    begun = asyncio.Event()

    async def upload() -> None:
        async with store.writer("orders/a/1") as writer:
            for _ in range(LARGE):
                await writer.write(os.urandom(CHUNK))
            begun.set()
            await asyncio.Event().wait()

    async def call() -> None:
        task = asyncio.create_task(upload())
        await begun.wait()
        assert len(s3_server.unfinished_uploads()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(call())
    assert s3_server.unfinished_uploads() == []
    with pytest.raises(MissingBlob):
        store.get("orders/a/1")


def test_a_wrong_secret_is_told_as_unavailable_and_not_repeated(s3_url: str) -> None:
    store = BlobStore(s3_url.replace("what%2F", "wrong%2F"))
    with pytest.raises(Unavailable) as refused:
        store.ping()
    assert "wrong" not in f"{refused.value} {refused.value.__cause__}"
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_a_server_that_comes_back_is_used_again(store: BlobStore, s3_server: S3Server) -> None:
    store.put("orders/a/1", b"1")
    s3_server.kill()
    try:
        with pytest.raises(Unavailable):
            store.ping()
    finally:
        s3_server.start()
    store.ping()
    assert store.get("orders/a/1") == b"1"
