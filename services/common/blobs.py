"""The blob store: originals and results by key, in a folder or in S3, by obstore.

A blob is written whole or not at all. In a folder, `persist` makes it survive a power cut (obstore renames without
fsync); object stores do that on their own.
"""

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as MissingError
from obstore.store import LocalStore, ObjectStore, S3Store

from services.common.errors import ConfigurationError, ImageBlurError, Unavailable

if TYPE_CHECKING:
    from obstore import AsyncWritableFile, GetOptions  # not there at run time
    from obstore.store import S3Config

CHUNK = 1 << 20
"""Bytes read or written at a time where something is streamed."""

RETRY_SECONDS = 5
"""Whoever waits for the store is told soon that it is away: by default that takes minutes."""

_FEW = 8
"""So many files are synced one after another: as those of one image are."""
_SYNCS = 8

_MOST_LASTING = 10_000
"""Folders that are remembered to have been synced with the one above."""

_REMOVALS = 3
"""How often a folder is removed in which others remove files, too, and make each other stumble."""

T = TypeVar("T")


class MissingBlob(ImageBlurError):
    """There is no blob under this key."""


class BlobWriter(Protocol):
    """Takes a blob's bytes in turn."""

    async def write(self, data: bytes) -> object:
        """Add bytes."""


class _Writer:
    """Holds back the last piece until there is more: a small blob is one request.

    Lets go of obstore's writer at the end: its file takes room on the disk, removed or not, until it is gone, and an
    error on its way up keeps all it passed.
    """

    def __init__(self, store: ObjectStore, key: str, piece: int) -> None:
        self._store = store
        self._key = key
        self._piece = piece
        self._held = bytearray()
        self._writer: AsyncWritableFile | None = None

    async def write(self, data: bytes) -> None:
        self._held += data
        while len(self._held) > self._piece:
            piece = bytes(self._held[: self._piece])
            del self._held[: self._piece]
            await self._upload(piece)

    async def close(self) -> None:
        if self._writer:
            await self._upload(bytes(self._held))
            await _to_its_end(self._writer.close())
        else:
            await _to_its_end(obstore.put_async(self._store, self._key, bytes(self._held)))

    async def abandon(self, error: BaseException) -> None:
        # Nobody could see the pieces that S3 has, and they would be paid for until a rule of the bucket removes them.
        writer, self._writer = self._writer, None
        if not writer:
            return
        with contextlib.suppress(BaseError, OSError):
            # obstore drops the request that is under way, but S3 may go on with it and keep a piece of an upload that
            # was aborted meanwhile. Writing nothing waits for that request.
            await writer.write(b"")
        with contextlib.suppress(BaseError, OSError):
            await writer.__aexit__(type(error), error, None)

    def let_go(self) -> None:
        self._writer = None

    async def _upload(self, piece: bytes) -> None:
        """Begin to upload a piece once the one before has been uploaded."""
        if self._writer is None:
            # One piece being filled, one waiting and one on the way: memory stays flat however large the blob.
            self._writer = obstore.open_writer_async(self._store, self._key, buffer_size=self._piece, max_concurrency=1)
        await _to_its_end(self._writer.write(piece))


class BlobStore:
    """Blobs by key; keys are made by `services.common.orders`."""

    def __init__(self, url: str) -> None:
        """`url`: a folder, or `s3://bucket/prefix`, with `key:secret@` before the bucket or the `AWS_` variables.

        Raises:
            ConfigurationError: It is neither.
        """
        self._lasting: set[str] = set()
        try:
            if "://" in url and not url.startswith("file://"):
                self._folder: Path | None = None
                self._store: ObjectStore = _s3(url)
                self._piece = 5 * CHUNK  # the least that S3 takes
            else:
                self._piece = CHUNK
                self._folder = Path(url.removeprefix("file://")).resolve()
                self._store = LocalStore(self._folder, mkdir=True)
        except (BaseError, OSError, ValueError) as error:
            raise ConfigurationError(f"IMAGEBLUR_BLOB_URL: {error}") from None

    @property
    def folder(self) -> Path | None:
        """The folder, if the store is one."""
        return self._folder

    @property
    def writer_bytes(self) -> int:
        """What a writer holds in memory at most."""
        return 3 * self._piece

    def put(self, key: str, data: bytes) -> None:
        """Store a blob from memory.

        Raises:
            Unavailable: The store cannot be reached or is full.
        """
        with _translated():
            obstore.put(self._store, key, data)

    def store_file(self, key: str, file: Path) -> None:
        """Store a blob from a file; if the store is a folder, the file is moved there, and must be on the same disk.

        Raises:
            MissingBlob: The file is not there.
            Unavailable: The store cannot be reached or is full.
        """
        with _translated():
            if not self._folder:
                obstore.put(self._store, key, file)
                return
            self._mounted()
            blob = self._folder / key
            blob.parent.mkdir(parents=True, exist_ok=True)
            file.replace(blob)

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[BlobWriter]:
        """Store a blob piece by piece; it appears when the block ends, unless by an error."""
        with _translated():
            writer = _Writer(self._store, key, self._piece)
            try:
                yield writer
                await writer.close()
            except BaseException as error:
                await _to_its_end(writer.abandon(error))
                raise
            finally:
                writer.let_go()

    def get(self, key: str) -> bytes:
        """A whole blob.

        Raises:
            MissingBlob: There is none.
            Unavailable: The store cannot be reached.
        """
        with _translated():
            return obstore.get(self._store, key).bytes().to_bytes()

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A blob, or a part of it, in chunks of about 1 MiB. `length`: in bytes, above 0; None: to the end.

        Raises:
            MissingBlob: There is none.
            Unavailable: The store cannot be reached, or the blob ends before `offset`.
        """
        options: GetOptions = {}
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        with _translated():
            for chunk in obstore.get(self._store, key, options=options).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def exists(self, key: str) -> bool:
        """Whether there is a blob.

        Raises:
            Unavailable: The store cannot be reached.
        """
        try:
            with _translated():
                self._mounted()
                obstore.head(self._store, key)
        except MissingBlob:
            return False
        return True

    def local_path(self, key: str) -> Path | None:
        """The blob's file, if the store is a folder."""
        return self._folder / key if self._folder else None

    def persist(self, *keys: str) -> None:
        """Make blobs survive a power cut.

        Raises:
            Unavailable: The disk refuses.
        """
        if not self._folder:
            return
        folders = {_folder_of(key) for key in keys}
        # A folder that may be new is an entry in the one above, which has to last too.
        new, above = set[str](), set[str]()
        for folder in folders:
            while folder and folder not in self._lasting:
                new.add(folder)
                folder = _folder_of(folder)  # noqa: PLW2901 - on the way up
                above.add(folder)
        with _translated():
            _sync([self._folder / path for path in (*keys, *(folders | above))])
        if len(self._lasting) > _MOST_LASTING:
            self._lasting.clear()
        self._lasting |= new

    def delete(self, *keys: str) -> None:
        """Remove blobs; without effect on those that are not there."""
        with _translated():
            if self._folder:
                self._mounted()
                for key in keys:
                    (self._folder / key).unlink(missing_ok=True)
            elif keys:
                obstore.delete(self._store, keys)

    def delete_prefix(self, prefix: str) -> None:
        """Remove all blobs below a prefix (which ends in `/`).

        In a folder, pieces of unfinished ones too. In S3 those of a process that was killed remain, unseen, until a
        rule of the bucket removes them (AbortIncompleteMultipartUpload): `docs/operations.md`.
        """
        with _translated():
            if self._folder:
                self._mounted()
                _remove_folder(self._folder / prefix)
                return
            for batch in obstore.list(self._store, prefix):
                obstore.delete(self._store, [blob["path"] for blob in batch])

    def _mounted(self) -> None:
        # A folder that is not there must not be taken for one in which there is nothing.
        if self._folder and not self._folder.is_dir():
            raise Unavailable("the blob folder is not there")

    def ping(self) -> None:
        """Reach the store or raise Unavailable."""
        with _translated():
            self._mounted()
            if not self._folder:
                next(iter(obstore.list(self._store, "ping/", chunk_size=1)), None)


def _s3(url: str) -> S3Store:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credentials: S3Config = {}
    if parts.username and parts.password:
        credentials = {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password)}
    return S3Store.from_url(
        urlunsplit(parts._replace(netloc=host)),
        config=credentials,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


async def _to_its_end(request: Awaitable[T]) -> T:
    """The result of a request to the store; who is cancelled waits for its end.

    A thread of obstore is at it and cannot be stopped: what the caller removes in its clean-up would appear afterwards.
    """
    under_way = asyncio.ensure_future(request)
    del request
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise
    finally:
        # An error on its way up keeps this frame, and that the writer with its file.
        del under_way


def _sync(paths: Sequence[Path]) -> None:
    if len(paths) <= _FEW:
        for path in paths:
            _sync_one(path)
        return
    # What several wait for, the disk writes together: on a busy one that took a tenth of the time.
    with ThreadPoolExecutor(_SYNCS) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_of(key: str) -> str:
    return key.rpartition("/")[0]


def _remove_folder(folder: Path) -> None:
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        # Somebody writes there at this moment; whoever wants it empty comes again.
        if error.errno != errno.ENOTEMPTY:
            raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (MissingError, FileNotFoundError) as error:
        raise MissingBlob(str(error)) from None
    except (BaseError, OSError) as error:
        raise Unavailable("the blob store cannot be reached or is full") from error
