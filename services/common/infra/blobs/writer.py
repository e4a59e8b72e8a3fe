"""Writes a blob piece by piece, whole or not at all."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

if TYPE_CHECKING:
    from obstore import AsyncWritableFile  # not there at run time

T = TypeVar("T")


class BlobWriter(Protocol):
    """Takes a blob's bytes in order."""

    async def write(self, data: bytes) -> object:
        """Append bytes."""


class PieceWriter:
    """Keeps the first piece until there is more: a small blob is one request.

    Drops its reference to obstore's writer at the end: an error's traceback keeps this object alive, and the writer's
    temporary file takes room on the disk, even when it is removed, for as long as the writer lives.
    """

    def __init__(self, store: ObjectStore, key: str, piece: int) -> None:
        """`piece`: bytes of a piece."""
        self._store = store
        self._key = key
        self._piece = piece
        self._first = b""
        self._writer: AsyncWritableFile | None = None

    async def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._writer is None:
            if len(self._first) + len(data) <= self._piece:
                self._first += data
                return
            # One piece being filled and two being sent: memory is bounded however large the blob.
            self._writer = obstore.open_writer_async(self._store, self._key, buffer_size=self._piece, max_concurrency=2)
            await uninterrupted(self._writer.write(self._first))
            self._first = b""
        await uninterrupted(self._writer.write(data))

    async def close(self) -> None:
        """Complete the blob."""
        if self._writer:
            await uninterrupted(self._writer.close())
        else:
            await uninterrupted(obstore.put_async(self._store, self._key, self._first))

    async def abort(self, error: BaseException) -> None:
        """Remove the pieces; in S3 they would be invisible, and paid for until a rule of the bucket removes them."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with contextlib.suppress(BaseError, OSError):
            if isinstance(self._store, S3Store):
                # A part that is being sent when an upload is aborted may arrive after that, and bring the upload back
                # (documented for AbortMultipartUpload). So complete the blob, and delete it.
                await writer.close()
                await obstore.delete_async(self._store, self._key)
                return
        with contextlib.suppress(BaseError, OSError):
            await writer.__aexit__(type(error), error, None)

    def drop(self) -> None:
        """Drop the reference to obstore's writer."""
        self._writer = None


async def uninterrupted(request: Awaitable[T]) -> T:
    """Return the result of a request to the store; if the caller is cancelled, wait for the request's end first.

    A thread of obstore runs it and cannot be stopped: what it writes would appear after the caller's clean-up.
    """
    future = asyncio.ensure_future(request)
    del request
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # nobody else asks for it, and asyncio would log that as an error
        raise
    finally:
        # An error's traceback keeps this frame alive, which would keep the writer and its file.
        del future
