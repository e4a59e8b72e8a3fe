"""The blob store. A blob is written whole or not at all."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from services.common.domain.errors import ConfigurationError, Unavailable
from services.common.infra.blobs.errors import MissingBlob, translate_errors
from services.common.infra.blobs.folder import FolderSync, remove_folder
from services.common.infra.blobs.writer import BlobWriter, PieceWriter, uninterrupted

if TYPE_CHECKING:
    from obstore import GetOptions  # not there at run time
    from obstore.store import S3Config

CHUNK = 1 << 20
"""Bytes read or written at a time by streams."""
RETRY_TIMEOUT_SECONDS = 5
"""How long requests to S3 are retried: obstore's default of minutes would keep callers waiting."""


class BlobStore:
    """Blobs by key; keys are made by `services.common.domain.orders`."""

    def __init__(self, url: str) -> None:
        """`url`: a folder, or `s3://bucket/prefix`, with `key:secret@` before the bucket or the `AWS_` variables.

        Raises:
            ConfigurationError: It is neither.
        """
        self.folder: Path | None = None
        """The folder, if the store is one."""
        self._store: ObjectStore
        try:
            if "://" in url and not url.startswith("file://"):
                self._store = s3_store(url)
                self._piece = 5 * CHUNK  # S3's minimum
            else:
                self.folder = Path(url.removeprefix("file://")).resolve()
                self._store = LocalStore(self.folder, mkdir=True)
                self._sync = FolderSync(self.folder)
                self._piece = CHUNK
        except (BaseError, OSError, ValueError) as error:
            raise ConfigurationError(f"IMAGEBLUR_BLOB_URL: {error}") from None

    @property
    def writer_bytes(self) -> int:
        """Most bytes that a writer holds in memory."""
        return 3 * self._piece

    def put(self, key: str, data: bytes) -> None:
        """Store a blob from memory.

        Raises:
            Unavailable: The store cannot be reached or is full.
        """
        with translate_errors():
            obstore.put(self._store, key, data)

    def store_file(self, key: str, file: Path) -> None:
        """Store a blob from a file; if the store is a folder, the file is moved there, and must be on the same disk.

        Raises:
            MissingBlob: The file does not exist.
            Unavailable: The store cannot be reached or is full.
        """
        with translate_errors():
            if not self.folder:
                obstore.put(self._store, key, file)
                return
            blob = self.folder / key
            try:
                file.replace(blob)
            except FileNotFoundError:
                self._check_folder()
                blob.parent.mkdir(parents=True, exist_ok=True)
                file.replace(blob)

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[BlobWriter]:
        """Store a blob piece by piece; it appears when the block ends without an error.

        Raises:
            Unavailable: The store cannot be reached or is full.
        """
        with translate_errors():
            writer = PieceWriter(self._store, key, self._piece)
            try:
                yield writer
                await writer.close()
            except BaseException as error:
                await uninterrupted(writer.abort(error))
                raise
            finally:
                writer.drop()

    def get(self, key: str) -> bytes:
        """Return a whole blob.

        Raises:
            MissingBlob: There is none.
            Unavailable: The store cannot be reached.
        """
        with translate_errors():
            return obstore.get(self._store, key).bytes().to_bytes()

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield a blob, or a part of it, in chunks of about 1 MiB. `length`: in bytes, above 0; None: to the end.

        Raises:
            MissingBlob: There is none.
            Unavailable: The store cannot be reached, or the blob ends before `offset`.
        """
        options: GetOptions = {}
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        with translate_errors():
            for chunk in obstore.get(self._store, key, options=options).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def exists(self, key: str) -> bool:
        """Return whether there is a blob.

        Raises:
            Unavailable: The store cannot be reached.
        """
        try:
            with translate_errors():
                self._check_folder()
                obstore.head(self._store, key)
        except MissingBlob:
            return False
        return True

    def local_path(self, key: str) -> Path | None:
        """Return the blob's file, if the store is a folder."""
        return self.folder / key if self.folder else None

    def persist(self, *keys: str) -> None:
        """Make blobs survive a power cut; S3 does so on its own.

        Raises:
            Unavailable: The disk reports an error.
        """
        if self.folder:
            with translate_errors():
                self._sync.sync(keys)

    def delete(self, *keys: str) -> None:
        """Remove blobs; those that do not exist are ignored.

        Raises:
            Unavailable: The store cannot be reached.
        """
        with translate_errors():
            if self.folder:
                self._check_folder()
                for key in keys:
                    (self.folder / key).unlink(missing_ok=True)
            elif keys:
                obstore.delete(self._store, keys)

    def delete_prefix(self, prefix: str) -> None:
        """Remove all blobs below a prefix, which ends in `/`.

        In a folder, pieces of unfinished blobs too. In S3 those of a killed process remain, invisible, until a rule of
        the bucket removes them (AbortIncompleteMultipartUpload; docs/operations.md).

        Raises:
            Unavailable: The store cannot be reached.
        """
        with translate_errors():
            if self.folder:
                self._check_folder()
                remove_folder(self.folder / prefix)
                return
            for batch in obstore.list(self._store, prefix):
                obstore.delete(self._store, [blob["path"] for blob in batch])

    def ping(self) -> None:
        """Reach the store.

        Raises:
            Unavailable: It cannot be reached.
        """
        with translate_errors():
            self._check_folder()
            if not self.folder:
                next(iter(obstore.list(self._store, "ping/", chunk_size=1)), None)

    def _check_folder(self) -> None:
        # A folder that is not mounted must not count as an empty one.
        if self.folder and not self.folder.is_dir():
            raise Unavailable("the blob folder does not exist")


def s3_store(url: str) -> S3Store:
    """Return a store of `s3://bucket/prefix`, with `key:secret@` before the bucket or the `AWS_` variables."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credentials: S3Config = {}
    if parts.username and parts.password:
        credentials = {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password)}
    return S3Store.from_url(
        urlunsplit(parts._replace(netloc=host)),
        config=credentials,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_SECONDS)},
    )
