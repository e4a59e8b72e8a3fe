"""Downloads of results: files or an archive, whole or a byte range of one."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as pb

from services.common.archive.entries import MEDIA_TYPE, NAME, result_entry, summary_entry
from services.common.archive.stored_zip import Checksums, Entry, StoredZip
from services.common.db.engine import Database
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.spec import Format
from services.common.infra.blobs import BlobStore
from services.common.infra.signing.tokens import BadToken, Tokens
from services.gateway.orders.reading.results import OrderResults, Result, find_results
from services.gateway.rpc.fields import parse_id


@dataclass(frozen=True, kw_only=True)
class DownloadRange:
    """What to download."""

    order_id: UUID
    image_ids: list[UUID]
    """Empty: all that succeeded."""
    archive: bool
    offset: int
    """In bytes; checked against the file's size when the file is known."""
    length: int | None
    """In bytes; None: to the end."""


@dataclass(frozen=True)
class Download:
    """A file: its first message, and its content, read lazily."""

    start: pb.FileStart
    content: Iterator[bytes]


class ResultDownloads:
    """Finds and reads results; blocking."""

    def __init__(self, database: Database, blobs: BlobStore, tokens: Tokens) -> None:
        self._database = database
        self._blobs = blobs
        self._tokens = tokens
        self._checksums = Checksums()

    def parse(self, request: pb.DownloadImagesRequest) -> DownloadRange:
        """Return what a request asks for.

        Raises:
            InvalidArgument: With a violation for the first invalid field.
        """
        if request.token:
            if request.order_id or request.image_ids:
                message = "cannot be combined with order_id or image_ids: it is for the whole archive"
                raise InvalidArgument(Violation("token", message))
            try:
                order_id = self._tokens.read_archive(request.token)
            except BadToken as error:
                raise InvalidArgument(Violation("token", str(error)), reason="INVALID_TOKEN") from None
        else:
            order_id = parse_id(request.order_id)
        image_ids = [parse_id(text, f"image_ids[{index}]") for index, text in enumerate(request.image_ids)]
        archive = request.archive or bool(request.token)
        for field in ("offset", "length"):
            value = getattr(request, field)
            if value < 0:
                raise InvalidArgument(Violation(field, "must not be negative"))
            if value and not archive and len(image_ids) != 1:
                raise InvalidArgument(Violation(field, "needs a single file: an archive, or one image"))
        return DownloadRange(
            order_id=order_id,
            image_ids=image_ids,
            archive=archive,
            offset=request.offset,
            length=request.length or None,
        )

    def files(self, wanted: DownloadRange) -> Iterator[Download]:
        """Yield the files.

        Raises:
            InvalidArgument: The offset is past the end of the file.
            NotFound: The order or an image does not exist.
            FailedPrecondition: The order has expired, or an image has not succeeded.
        """
        found = find_results(self._database, wanted.order_id, wanted.image_ids)
        if wanted.archive:
            yield self._archive(wanted, found)
            return
        for result in found.results:
            size = result.image.output_bytes
            content = self._blobs.stream(result.key, wanted.offset, _length(wanted, size)) if size else iter(())
            yield Download(_file_start(result), content)

    def _archive(self, wanted: DownloadRange, found: OrderResults) -> Download:
        entries = [
            result_entry(
                self._blobs,
                result.filename,
                result.key,
                result.image.output_bytes,
                result.image.output_sha256 or "",
                crc32=result.image.result_crc32,
            )
            for result in found.results
        ]
        entries += [summary_entry(name, content) for name, content in found.summary_files()]
        archive = StoredZip(entries, found.created_at, self._checksums)
        start = pb.FileStart(
            filename=NAME, media_type=MEDIA_TYPE, size_bytes=archive.size, etag=_etag(entries, found.created_at)
        )
        return Download(start, archive.read(wanted.offset, _length(wanted, archive.size)))


def _length(wanted: DownloadRange, size: int) -> int:
    if wanted.offset >= size:
        raise InvalidArgument(Violation("offset", f"is past the end of the file, which has {size} bytes"))
    return min(wanted.length or size, size - wanted.offset)


def _etag(entries: list[Entry], time: datetime) -> str:
    lines = [time.isoformat(), *(f"{entry.digest} {entry.crc32} {entry.size} {entry.name}" for entry in entries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _file_start(result: Result) -> pb.FileStart:
    sha256 = result.image.output_sha256 or ""
    return pb.FileStart(
        image_id=str(result.image.id),
        filename=result.filename,
        media_type=Format(result.image.format or "").media_type,
        size_bytes=result.image.output_bytes,
        sha256=bytes.fromhex(sha256),
        etag=sha256[:32],
    )
