"""The bytes of a scan without what was stuffed into them, and how they are looked at.

What keeps indices in range: as many bytes are written as are read at most, and no piece more than there is room for.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

PADDING = 512
"""Bytes beyond the data that may be read."""


@compiled(uncounted=True)
def look(data: NDArray[np.uint8], at: np.uint64) -> np.uint64:
    """The next eight bytes, the first one highest."""
    word = np.uint64(data[at]) << np.uint64(56)
    word |= np.uint64(data[at + np.uint64(1)]) << np.uint64(48)
    word |= np.uint64(data[at + np.uint64(2)]) << np.uint64(40)
    word |= np.uint64(data[at + np.uint64(3)]) << np.uint64(32)
    word |= np.uint64(data[at + np.uint64(4)]) << np.uint64(24)
    word |= np.uint64(data[at + np.uint64(5)]) << np.uint64(16)
    word |= np.uint64(data[at + np.uint64(6)]) << np.uint64(8)
    word |= np.uint64(data[at + np.uint64(7)])
    return word


@compiled(
    "Tuple((int64, int64, int64))(Array(uint8, 1, 'C', readonly=True), int64, uint8[::1], int64[::1])", uncounted=True
)
def unstuff(
    data: NDArray[np.uint8], start: int, out: NDArray[np.uint8], bounds: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Copies a scan's data without the zeros stuffed after 0xFF, in pieces between restart markers.

    Args:
        data: The file.
        start: Where the data of the scan begin, at most the size of the file.
        out: Takes the bytes; as long as what is left of the file.
        bounds: Takes where each piece begins in `out`, and where the last one ends.

    Returns:
        Where the next marker is, -1 if there is none; how many bytes; how many pieces, -1 if markers are out of turn.
    """
    size, at, written, pieces = len(data), start, 0, 1
    bounds[0] = 0
    while at < size:
        if at + 8 <= size:
            word = look(data, np.uint64(at))
            # Whether none of eight bytes is 0xFF.
            if (~word - np.uint64(0x0101010101010101)) & word & np.uint64(0x8080808080808080) == np.uint64(0):
                to = np.uint64(written)
                for index in range(8):
                    out[to + np.uint64(index)] = np.uint8((word >> np.uint64(56 - 8 * index)) & np.uint64(0xFF))
                written += 8
                at += 8
                continue
        byte = data[at]
        if byte != 0xFF:
            out[written] = byte
            written += 1
            at += 1
            continue
        if at + 1 >= size:
            return -1, written, pieces
        after = data[at + 1]
        if after == 0:
            out[written] = byte
            written += 1
            at += 2
        elif 0xD0 <= after <= 0xD7:
            if pieces + 1 >= len(bounds) or after - 0xD0 != (pieces - 1) % 8:
                return at, written, -1
            bounds[pieces] = written
            pieces += 1
            at += 2
        elif after == 0xFF:
            at += 1
        else:
            bounds[pieces] = written
            return at, written, pieces
    return -1, written, pieces
