"""Reads progressive scans of a band of coefficients of one component, those that come first.

What keeps indices in range: as in `scans`; a block takes at most 63 codes with their bits, and one bit for each
coefficient; what is set lies within the band.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.aside import is_aside, place_of
from services.blur_worker.engine.jpeg.codes import LOOK, bits_behind, long_code, signed
from services.blur_worker.engine.jpeg.stuffing import look


@compiled(
    "int64(uint8[::1], int64[::1], int64, int64[::1], int32[::1], int64, int64, int64, float32[::1], int64[:, ::1],"
    " uint64[::1], float32[::1])",
    uncounted=True,
)
def read_first(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    interval: int,
    layout: NDArray[np.int64],
    table: NDArray[np.int32],
    first: int,
    last: int,
    low: int,
    factors: NDArray[np.float32],
    targets: NDArray[np.int64],
    present: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> int:
    """Reads the first scan of a band: all but the last `low` bits.

    Args:
        data: As in `scans.read_scan`; likewise the others.
        bounds: See there.
        interval: See there.
        layout: That of the component, with `ASIDE`.
        table: See `codes`.
        first: Coefficients `first` to `last`, in the order of the stream.
        last: See `first`.
        low: Bits that are yet to come.
        factors: What to multiply its coefficients by, in the order of the stream.
        targets: Where each goes, below 0: nowhere; then the same for blocks that the border cuts through.
        present: For each block of the plane the coefficients that are not 0, as bits.
        out: Takes the coefficients.

    Returns:
        OK, or what is wrong.
    """
    piece, left, blocks = 0, 0, np.int64(0)
    at, end = np.uint64(0), np.uint64(0)
    for y in range(layout[scans.ROWS]):
        for x in range(layout[scans.COLUMNS]):
            if left == 0:
                if blocks or (piece and at + np.uint64(7) < end):
                    return scans.TOO_MUCH
                if piece + 1 >= len(bounds):
                    return scans.WRONG_RESTART
                at, end = np.uint64(bounds[piece]) * np.uint64(8), np.uint64(bounds[piece + 1]) * np.uint64(8)
                left = interval
                piece += 1
            left -= 1
            if blocks:
                blocks -= 1
                continue
            which, base = np.int64(is_aside(layout, y, x)), place_of(layout, y, x)
            index, found = np.int64(first), np.uint64(0)
            word, ready = np.uint64(0), np.int64(0)
            while index <= last:
                if ready < 31:
                    word, ready = look(data, at >> np.uint64(3)) << (at & np.uint64(7)), np.int64(57)
                entry = np.int64(table[word >> np.uint64(64 - LOOK)])
                if entry == 0:
                    entry = long_code(table, word)
                    if entry < 0:
                        return scans.WRONG_CODE
                run, size, used = entry >> 12, (entry >> 8) & 15, np.uint64(entry & 0xFF)
                at += used
                if size == 0:
                    if run < 15:
                        blocks = np.int64(1) << run
                        if run:
                            blocks += bits_behind(word, used, run)
                        break
                    index += 16
                else:
                    index += run
                    if index > last or size + low > 15:
                        return scans.WRONG_CODE
                    found |= np.uint64(1) << np.uint64(index)
                    target = targets[which, index]
                    if target >= 0:
                        value = signed(bits_behind(word, used, size), size) << low
                        out[base + target] = value * factors[index]
                    index += 1
                word <<= used
                ready -= np.int64(used)
            if blocks:
                blocks -= 1
            elif index > last + 1:
                return scans.TOO_MUCH
            present[y * layout[scans.COLUMNS] + x] |= found
            if at > end:
                return scans.ENDS_EARLY
    if blocks or at + np.uint64(7) < end:
        return scans.TOO_MUCH
    return scans.OK if piece + 1 == len(bounds) else scans.WRONG_RESTART
