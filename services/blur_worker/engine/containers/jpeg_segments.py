"""The marker segments of a JPEG up to its first scan, and how many parts it has at all. Source: T.81, annex B."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.vectors import BYTES, equal_bytes, lowest_bit

SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_TEM, _RST0, _RST7 = 0x01, 0xD0, 0xD7
_NOT_FILL = re.compile(rb"[^\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield the segments up to the first scan, as libjpeg finds them.

    Returns:
        The marker, how many fill bytes were before it, and where its parameters begin and end.
    """
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        fill, at = 0, at + 2
        if at > len(data) or data[at - 1] == 0xFF:
            after = _NOT_FILL.search(data, at)
            if after is None:
                return
            fill, at = after.start() - at + 1, after.start() + 1
        marker = data[at - 1]
        if marker == EOI:
            return
        if marker in {0, _TEM} or _RST0 <= marker <= SOI:
            yield marker, fill, at, at
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        yield marker, fill, at + 2, min(at + size, len(data))
        if marker == SOS:
            return
        at += max(size, 2)


def find_end(data: bytes, start: int) -> int:
    """Return where the first end marker from a place on is, or the end of the data: faster than `bytes.find`."""
    array = np.frombuffer(data, np.uint8)[start:]
    found = (array[:-1] == 0xFF) & (array[1:] == EOI)
    return start + int(found.argmax()) if found.any() else len(data)


def count_behind(data: bytes, start: int, limit: int, scan_limit: int) -> tuple[int, int]:
    """Return how many segments and fill bytes, and how many scans, are behind the beginning of the first scan, at most.

    Args:
        data: The file.
        start: Where its first scan begins.
        limit: Segments from which on it is worth to count exactly: other data may look like markers.
        scan_limit: The same for scans.
    """
    segment_count, scan_count = _count_markers(np.frombuffer(data, np.uint8), start)
    if segment_count <= limit and scan_count <= scan_limit:
        return segment_count, scan_count
    segment_count = scan_count = 0
    at = start
    while (found := _MARKER.search(data, at)) and segment_count <= limit and scan_count <= scan_limit:
        segment_count += 1 + data.count(b"\xff\xff", at, found.end())  # at least half of the fill bytes
        marker, at = data[found.end() - 1], found.end()
        if marker == EOI:
            break
        scan_count += marker == SOS
        at += int.from_bytes(data[at : at + 2], "big")
    return segment_count, scan_count


@compiled("UniTuple(int64, 2)(Array(uint8, 1, 'C', readonly=True), int64)", nrt=False)
def _count_markers(data: NDArray[np.uint8], start: int) -> tuple[int, int]:
    """Return how many markers from 0xC0 on, but RST, seem to be there, and how many of them are SOS."""
    segment_count = scan_count = 0
    at = start
    while at + 1 < len(data):
        whole = at + BYTES < len(data)
        found = equal_bytes(data, at, 0xFF) if whole else np.uint64(data[at] == 0xFF)
        while found:
            marker = data[np.uint64(at) + lowest_bit(found) + np.uint64(1)]
            found &= found - np.uint64(1)
            if marker >= 0xC0 and not _RST0 <= marker <= _RST7:
                segment_count += 1
                scan_count += marker == SOS
        at += BYTES if whole else 1
    return segment_count, scan_count
