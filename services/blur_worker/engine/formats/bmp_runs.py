"""Run-length encoded BMP (RLE8 and RLE4), in a compiled loop. Source: Windows GDI, "Bitmap compression"."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

_Bytes = NDArray[np.uint8]
_END_OF_LINE, _END, _DELTA = 0, 1, 2


@compiled("b1(Array(uint8, 1, 'C', readonly=True), i8, b1, u2[:, ::1])")
def expand_runs(data: _Bytes, at: int, two_in_a_byte: bool, out: NDArray[np.uint16]) -> bool:
    """Decode indices; return whether the file is whole: it ends with its mark, or after the last row.

    What reaches beyond a row is cut off, as by browsers, and nothing follows what goes beyond the last one.

    Args:
        data: The file.
        at: Where the runs begin.
        two_in_a_byte: Whether an index has 4 bits (RLE4), instead of 8.
        out: Shape (height, width): gets the indices, the rows in their order in the file. Runs may leave pixels out.
    """
    height, width = out.shape
    x = y = np.int64(0)
    while y < height and at + 1 < len(data):
        count, value = np.int64(data[at]), np.int64(data[at + 1])
        at += 2
        if count == 0 and value == _END_OF_LINE:
            x, y = np.int64(0), y + 1
            continue
        if count == 0 and value == _END:
            return True
        if count == 0 and value == _DELTA:
            if at + 1 >= len(data):
                return False
            x, y = x + np.int64(data[at]), y + np.int64(data[at + 1])
            at += 2
            if y >= height:
                return True
            continue
        literal = count == 0
        pixels = value if literal else count
        used = ((pixels + 1) // 2 if two_in_a_byte else pixels) * literal
        if at + used > len(data):
            return False
        for index in range(max(min(pixels, width - x), 0)):
            byte = (at + index // 2 if two_in_a_byte else at + index) if literal else at - 1
            found = np.int64(data[byte])
            if two_in_a_byte:
                found = found >> 4 if index % 2 == 0 else found & 15
            out[y, x + index] = found
        x += pixels
        at += int(used + used % 2)  # an even number of bytes
    # Without its mark at the end, but with all of its pixels.
    return bool(y >= height or (y == height - 1 and x >= width))
