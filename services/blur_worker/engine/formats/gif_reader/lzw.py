"""The compiled loops of GIF: data sub-blocks and LZW (GIF89a, section 15 and appendix F).

What keeps indices in range: nothing is written beyond what there is room for, and nothing read beyond the data.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

_MAX_CODES, _MAX_WIDTH = 4096, 12
_Bytes = NDArray[np.uint8]


@compiled("UniTuple(int64, 2)(Array(uint8, 1, 'C', readonly=True), int64, uint8[::1])")
def join_sub_blocks(data: _Bytes, start: int, out: _Bytes) -> tuple[np.int64, np.int64]:
    """Put sub-blocks together.

    Args:
        data: The file.
        start: Where the size of the first sub-block is.
        out: Takes the bytes, as far as there is room.

    Returns:
        Where the block after them begins, -1 if the file ends before; how many bytes were written.
    """
    at, end, written, room = np.int64(start), np.int64(len(data)), np.int64(0), np.int64(len(out))
    while at < end:
        size = np.int64(data[at])
        at += 1
        if size == 0:
            return at, written
        for index in range(min(size, end - at, room - written)):
            out[written + index] = data[at + index]
        written += min(size, end - at, room - written)
        at += size
    return np.int64(-1), written


@compiled("int64(Array(uint8, 1, 'C', readonly=True), int64, uint8[::1])")
def expand(data: _Bytes, size: int, out: _Bytes) -> np.int64:  # noqa: C901 - one loop, for its speed
    """Decompress the indices of a frame; return how many were written, before a code that cannot be if there is one.

    Each code means indices that were written before: where they begin, and how many they are.
    """
    begins, lengths = np.zeros(_MAX_CODES, np.int64), np.zeros(_MAX_CODES, np.int64)
    end, room = np.int64(len(data)), np.int64(len(out))
    clear = np.int64(1) << np.int64(size)
    bits = np.uint64(0)
    ready = at = written = np.int64(0)
    width, known, before, before_length = np.int64(size) + 1, clear + 2, np.int64(-1), np.int64(0)
    while written < room:
        while ready < width and at < end:
            bits |= np.uint64(data[at]) << np.uint64(ready)
            ready += 8
            at += 1
        if ready < width:
            break
        code = np.int64(bits & np.uint64((np.int64(1) << width) - 1))
        bits >>= np.uint64(width)
        ready -= width
        if code == clear:
            width, known, before = np.int64(size) + 1, clear + 2, np.int64(-1)
            continue
        if code == clear + 1:
            break
        start, length = written, np.int64(1)
        if code < clear:
            out[written] = code
            written += 1
        else:
            if before < 0 or code > known or code >= _MAX_CODES:
                break
            # The code that is just being defined: the indices before, and the first of them again.
            begin = begins[code] if code < known else before
            length = lengths[code] if code < known else before_length + 1
            for index in range(min(length, room - written)):
                out[written + index] = out[begin + index]
            written += min(length, room - written)
        if before >= 0 and known < _MAX_CODES:
            begins[known], lengths[known] = before, before_length + 1
            known += 1
        before, before_length = start, length
        if known >= np.int64(1) << width and width < _MAX_WIDTH:
            width += 1
    return written
