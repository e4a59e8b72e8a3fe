"""Entries of the archive of an order's results (a StoredZip): the results, and the summary."""

import zlib
from hashlib import sha256

from services.common.archive.stored_zip import Entry
from services.common.domain.blob_reader import BlobReader

NAME = "blur_images.zip"
MEDIA_TYPE = "application/zip"


def result_entry(blobs: BlobReader, name: str, key: str, size: int, digest: str, *, crc32: int | None) -> Entry:
    """Return the entry of a result, which is read from the blob store while the archive is streamed."""
    return Entry(name, size, lambda offset, length: blobs.stream(key, offset, length), digest=digest, crc32=crc32)


def summary_entry(name: str, content: bytes) -> Entry:
    """Return the entry of a file of the summary."""
    return Entry(
        name,
        len(content),
        lambda offset, length: iter((content[offset : offset + length],)),
        digest=sha256(content).hexdigest(),
        crc32=zlib.crc32(content),
    )
