"""A ZIP file whose layout is known before its files are read: entries are stored uncompressed, so any part can be made.

The same entries always give the same bytes. An entry whose checksum is known has it and its size before its data, so
that programs can unpack the archive while they receive it. Otherwise its checksum follows the data (a data descriptor),
so that each file is read once, while it is streamed; not all programs can unpack that as a stream. Sizes and counts
beyond 32 and 16 bits are written as ZIP64.

Source: APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.common.domain.errors import Unavailable

_UTF8, _DESCRIPTOR_FOLLOWS = 0x0800, 0x0008
_BIG, _MANY = 0xFFFFFFFF, 0xFFFF
_LOCAL, _DESCRIPTOR, _DESCRIPTOR_64 = struct.Struct("<4s5H3L2H"), struct.Struct("<4s3L"), struct.Struct("<4sL2Q")
_CENTRAL, _END = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_END_64, _LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_UNIX_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Entry:
    """A file in the archive."""

    name: str
    size: int
    """In bytes."""
    read: Callable[[int, int], Iterator[bytes]]
    """Called with an offset and a length, yields that part of the content."""
    digest: str = ""
    """Files with the same digest have the same content; empty: unknown."""
    crc32: int | None = None
    """None: unknown."""


class Checksums:
    """CRC-32 by digest, for parts of archives after files that were not requested."""

    MOST = 100_000

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def get(self, digest: str) -> int | None:
        """Return the checksum, if it is known."""
        return self._known.get(digest)

    def put(self, digest: str, crc: int) -> None:
        """Remember a checksum; the oldest are dropped when there are too many."""
        if digest:
            if len(self._known) >= self.MOST:
                self._known.pop(next(iter(self._known)), None)
            self._known[digest] = crc


class StoredZip:
    """An archive of entries, all of one time (UTC)."""

    def __init__(self, entries: Sequence[Entry], time: datetime, checksums: Checksums | None = None) -> None:
        self._entries = entries
        self._names = [entry.name.encode() for entry in entries]
        self._time = (time.hour << 11) | (time.minute << 5) | (time.second // 2)
        self._date = (max(0, time.year - 1980) << 9) | (time.month << 5) | time.day
        self._checksums = checksums or Checksums()
        self._offsets = []
        at = 0
        for entry, name in zip(entries, self._names, strict=True):
            self._offsets.append(at)
            at += _LOCAL.size + len(name) + _local_extra(entry) + entry.size + _descriptor_size(entry)
        self._directory_at = at
        self._directory_size = sum(
            _CENTRAL.size + len(name) + len(_central_extra(entry.size, offset))
            for entry, name, offset in zip(entries, self._names, self._offsets, strict=True)
        )
        self.size = at + self._directory_size + len(self._end())
        """In bytes."""

    def read(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the archive, or the part of it from `offset` on that has `length` bytes.

        Raises:
            Unavailable: A file does not have its entry's size.
        """
        window = _Window(offset, self.size if length is None else min(self.size, offset + length))
        for index, entry in enumerate(self._entries):
            begin = self._offsets[index]
            following = self._offsets[index + 1] if index + 1 < len(self._entries) else self._directory_at
            if following <= window.begin:
                continue
            if begin >= window.end:
                return
            header = self._header(index)
            yield from window.cut(header, begin)
            data_at = begin + len(header)
            yield from self._data(entry, window, data_at)
            if entry.crc32 is None and window.overlaps(data_at + entry.size, following):
                yield from window.cut(_descriptor(entry, self._crc(entry)), data_at + entry.size)
        if window.overlaps(self._directory_at, self.size):
            yield from self._directory(window)

    def _data(self, entry: Entry, window: "_Window", at: int) -> Iterator[bytes]:
        begin, end = max(0, window.begin - at), min(entry.size, window.end - at)
        if begin >= end:
            return
        crc = left = 0
        for chunk in _exactly(entry, begin, end - begin):
            crc = zlib.crc32(chunk, crc)
            left += len(chunk)
            yield chunk
        if left == entry.size:
            self._checksums.put(entry.digest, crc)

    def _crc(self, entry: Entry) -> int:
        if entry.crc32 is not None:
            return entry.crc32
        crc = self._checksums.get(entry.digest)
        if crc is None:
            crc = 0
            for chunk in _exactly(entry, 0, entry.size):
                crc = zlib.crc32(chunk, crc)
            self._checksums.put(entry.digest, crc)
        return crc

    def _directory(self, window: "_Window") -> Iterator[bytes]:
        at = self._directory_at
        for index, entry in enumerate(self._entries):
            extra = _central_extra(entry.size, self._offsets[index])
            length = _CENTRAL.size + len(self._names[index]) + len(extra)
            if window.overlaps(at, at + length):
                yield from window.cut(self._central(index, extra), at)
            at += length
        yield from window.cut(self._end(), at)

    def _header(self, index: int) -> bytes:
        name, extra = self._names[index], _local_extra(self._entries[index])
        entry = self._entries[index]
        size = 0 if entry.crc32 is None else entry.size
        version, short = (45, _BIG) if extra else (20, size)
        fixed = _LOCAL.pack(
            b"PK\3\4", version, _flags(entry), 0, self._time, self._date,
            entry.crc32 or 0, short, short, len(name), extra,
        )  # fmt: skip
        return fixed + name + (struct.pack("<2H2Q", 1, 16, size, size) if extra else b"")

    def _central(self, index: int, extra: bytes) -> bytes:
        entry, name, offset = self._entries[index], self._names[index], self._offsets[index]
        size = min(entry.size, _BIG)
        fixed = _CENTRAL.pack(
            b"PK\1\2", (3 << 8) | 45, 45 if extra else 20, _flags(entry), 0, self._time, self._date, self._crc(entry),
            size, size, len(name), len(extra), 0, 0, 0, _UNIX_FILE, min(offset, _BIG),
        )  # fmt: skip
        return fixed + name + extra

    def _end(self) -> bytes:
        count, size, at = len(self._entries), self._directory_size, self._directory_at
        large = count >= _MANY or size >= _BIG or at >= _BIG
        end = _END.pack(
            b"PK\5\6", 0, 0, min(count, _MANY), min(count, _MANY), min(size, _BIG), min(at, _BIG), 0
        )  # fmt: skip
        if not large:
            return end
        end_64 = _END_64.pack(b"PK\6\6", _END_64.size - 12, (3 << 8) | 45, 45, 0, 0, count, count, size, at)
        return end_64 + _LOCATOR.pack(b"PK\6\7", 0, at + size, 1) + end


@dataclass(frozen=True)
class _Window:
    """The part that was requested."""

    begin: int
    end: int

    def overlaps(self, begin: int, end: int) -> bool:
        return begin < self.end and end > self.begin

    def cut(self, data: bytes, at: int) -> Iterator[bytes]:
        """Yield what of `data`, which begins at `at`, is inside."""
        if self.overlaps(at, at + len(data)):
            yield data[max(0, self.begin - at) : self.end - at]


def _exactly(entry: Entry, offset: int, length: int) -> Iterator[bytes]:
    if not length:
        return
    left = length
    for chunk in entry.read(offset, length):
        left -= len(chunk)
        yield chunk
    if left:
        # All that follows would be at other offsets than those in the archive's directory.
        raise Unavailable(f"{entry.name} does not have the size that it was stored with")


def _local_extra(entry: Entry) -> int:
    return 20 if entry.size >= _BIG else 0


def _central_extra(size: int, offset: int) -> bytes:
    large = ([size, size] if size >= _BIG else []) + ([offset] if offset >= _BIG else [])
    return struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""


def _flags(entry: Entry) -> int:
    return _UTF8 if entry.crc32 is not None else _UTF8 | _DESCRIPTOR_FOLLOWS


def _descriptor_size(entry: Entry) -> int:
    return 0 if entry.crc32 is not None else len(_descriptor(entry, 0))


def _descriptor(entry: Entry, crc: int) -> bytes:
    kind = _DESCRIPTOR_64 if entry.size >= _BIG else _DESCRIPTOR
    return kind.pack(b"PK\7\x08", crc, entry.size, entry.size)
