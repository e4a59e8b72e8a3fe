"""Entropy-coded segments without byte stuffing (T.81, B.1.1.5).

What keeps indices in range: no more bytes are written than are read, but for a vector behind them, and no more segments
than there is room for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader
from services.blur_worker.engine.jpeg.vectors import BYTES, copy_bytes, equal_bytes, lowest_bit

_PADDING = 512
"""Bytes beyond the data that may be read, or written for the moment: more than a block can take, or a vector."""


@dataclass(frozen=True)
class EntropyCodedData:
    """The data of a scan."""

    data: NDArray[np.uint8]
    """All entropy-coded segments, one after the other, then zeros."""
    bounds: NDArray[np.int64]
    """Where each segment begins, and where the last one ends."""
    end: int
    """Where the next marker is in the file."""


def entropy_coded_data(data: NDArray[np.uint8], scan: ScanHeader, frame: FrameHeader) -> EntropyCodedData:
    """Take the data of a scan out of a file.

    Raises:
        UnsupportedJpeg: They do not end, or do not have the restart markers that they should have.
    """
    rows, columns = frame.mcus(scan.components)
    count = -(-rows * columns // scan.restart_interval) if scan.restart_interval else 1
    out = np.empty(len(data) - scan.start + _PADDING, np.uint8)
    bounds = np.zeros(count + 1, np.int64)
    end, found = _remove_stuffing(data, scan.start, out, bounds)
    if end < 0 or found != count:
        raise UnsupportedJpeg("a scan that does not end as it should")
    out[bounds[count] : bounds[count] + _PADDING] = 0
    return EntropyCodedData(out, bounds, end)


@compiled("UniTuple(int64, 2)(Array(uint8, 1, 'C', readonly=True), int64, uint8[::1], int64[::1])", nrt=False)
def _remove_stuffing(
    data: NDArray[np.uint8], start: int, out: NDArray[np.uint8], bounds: NDArray[np.int64]
) -> tuple[int, int]:
    """Copy segments without the zeros behind 0xFF.

    Args:
        data: The file.
        start: Where the first segment begins, at most the size of the file.
        out: Takes the bytes; a vector longer than what is left of the file.
        bounds: Takes the bounds of the segments.

    Returns:
        Where the marker after the last segment is, -1 if there is none; how many segments, -1 if a restart marker has
        not the number that it should have.
    """
    at, written, count = np.int64(start), np.int64(0), np.int64(1)
    bounds[0] = 0
    while at + 1 < len(data):
        if data[at] != 0xFF:
            if at + BYTES > len(data):
                out[written] = data[at]
                written += 1
                at += 1
                continue
            copy_bytes(data, at, out, written)
            found = equal_bytes(data, at, 0xFF)
            plain = np.int64(lowest_bit(found)) if found else np.int64(BYTES)
            at += plain
            written += plain
            if not found or at + 1 == len(data):
                continue
        after = data[at + 1]
        if after == 0:
            out[written] = 0xFF
            written += 1
            at += 2
        elif 0xD0 <= after <= 0xD7:
            if count + 1 >= len(bounds) or after - 0xD0 != (count - 1) % 8:
                return at, -1
            bounds[count] = written
            count += 1
            at += 2
        elif after == 0xFF:  # a fill byte (B.1.1.2)
            at += 1
        else:
            bounds[count] = written
            return at, count
    return -1, count
