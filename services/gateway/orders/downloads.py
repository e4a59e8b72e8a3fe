"""Results on their way out: whole, or the part of one file that is asked for."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as pb

from services.common.archive.entries import MEDIA_TYPE, NAME, result_entry, summary_entry
from services.common.archive.stored_zip import Checksums, Entry, StoredZip
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.spec import Format
from services.common.infra.blobs import BlobStore
from services.common.infra.tokens import BadToken, Tokens
from services.gateway.orders import requests
from services.gateway.orders.use_cases import Result, Results


@dataclass(frozen=True)
class Asked:
    """What a request asks for; the part has been checked as far as that is possible without the file."""

    order_id: UUID
    image_ids: list[UUID]
    archive: bool
    offset: int
    length: int | None


@dataclass(frozen=True)
class Download:
    """A file to be sent: its first message, and its content, made as it is read."""

    start: pb.FileStart
    content: Iterator[bytes]


def parse(request: pb.DownloadImagesRequest, tokens: Tokens) -> Asked:
    """What is asked for.

    Raises:
        InvalidArgument: With a violation for the first field that is wrong.
    """
    if request.token:
        if request.order_id or request.image_ids:
            raise InvalidArgument(Violation("token", "stands instead of order_id, and for the whole archive"))
        try:
            order_id = tokens.read_archive(request.token)
        except BadToken as error:
            raise InvalidArgument(Violation("token", str(error)), reason="BAD_TOKEN") from None
    else:
        order_id = requests.parse_id(request.order_id)
    ids = [requests.parse_id(text, f"image_ids[{index}]") for index, text in enumerate(request.image_ids)]
    as_archive = request.archive or bool(request.token)
    for field in ("offset", "length"):
        value = getattr(request, field)
        if value < 0:
            raise InvalidArgument(Violation(field, "must not be negative"))
        if value and not as_archive and len(ids) != 1:
            raise InvalidArgument(Violation(field, "needs one file: an archive, or one image"))
    return Asked(order_id, ids, as_archive, request.offset, request.length or None)


class Downloads:
    """Makes downloads out of results."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._checksums = Checksums()

    def files(self, asked: Asked, results: Results) -> Iterator[Download]:
        """The files, one after the other.

        Raises:
            InvalidArgument: The part begins after the file's end.
        """
        if asked.archive:
            yield self._archive(asked, results)
            return
        for result in results.done:
            size = result.image.output_bytes
            content = self._blobs.stream(result.key, asked.offset, _length(asked, size)) if size else iter(())
            yield Download(_file_start(result), content)

    def _archive(self, asked: Asked, results: Results) -> Download:
        entries = [
            result_entry(
                self._blobs, result.name, result.key, result.image.output_bytes, result.image.output_sha256 or ""
            )
            for result in results.done
        ]
        entries += [summary_entry(name, content) for name, content in results.receipt()]
        whole = StoredZip(entries, results.ordered_at, self._checksums)
        start = pb.FileStart(
            filename=NAME,
            media_type=MEDIA_TYPE,
            size_bytes=whole.size,
            etag=_etag(entries, results.ordered_at),
        )
        return Download(start, whole.read(asked.offset, _length(asked, whole.size)))


def _length(asked: Asked, size: int) -> int:
    if asked.offset >= size:
        raise InvalidArgument(Violation("offset", f"is after the file's end: it has {size} bytes"))
    return min(asked.length or size, size - asked.offset)


def _etag(entries: list[Entry], time: datetime) -> str:
    lines = [time.isoformat(), *(f"{entry.digest} {entry.size} {entry.name}" for entry in entries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _file_start(result: Result) -> pb.FileStart:
    sha256 = result.image.output_sha256 or ""
    return pb.FileStart(
        image_id=str(result.image.id),
        filename=result.name,
        media_type=Format(result.image.format or "").media_type,
        size_bytes=result.image.output_bytes,
        sha256=bytes.fromhex(sha256),
        etag=sha256[:32],
    )
