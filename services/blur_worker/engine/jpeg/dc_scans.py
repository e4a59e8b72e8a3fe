"""Reads progressive scans of the means of blocks, bit by bit more exactly.

What keeps indices in range: as in `scans`; a block takes at most 31 bits.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.aside import place_of
from services.blur_worker.engine.jpeg.codes import LOOK, bits_behind, long_code, signed
from services.blur_worker.engine.jpeg.stuffing import look

LARGEST = 32767
"""No coefficient is larger, or libjpeg would not know it either."""


@compiled(
    "int64(uint8[::1], int64[::1], int64, int64, int64, int64[:, ::1], int32[:, ::1], float32[::1], boolean, int64,"
    " float32[::1])"
)
def read_dc(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    interval: int,
    mcu_rows: int,
    mcu_columns: int,
    layout: NDArray[np.int64],
    tables: NDArray[np.int32],
    factors: NDArray[np.float32],
    refines: bool,
    low: int,
    out: NDArray[np.float32],
) -> int:
    """Reads a scan of first coefficients.

    Args:
        data: As in `scans.read_scan`; likewise the others.
        bounds: See there.
        interval: See there.
        mcu_rows: See there.
        mcu_columns: See there.
        layout: See there, with `ASIDE`.
        tables: See `codes`.
        factors: For each component what to multiply its first coefficients by.
        refines: Whether it brings one more bit, instead of all but the last `low`.
        low: Bits that are yet to come.
        out: Takes the coefficients.

    Returns:
        OK, or what is wrong.
    """
    predictions = np.zeros(4, np.int64)
    piece, left = 0, 0
    at, end = np.uint64(0), np.uint64(0)
    for row in range(mcu_rows):
        for column in range(mcu_columns):
            if left == 0:
                if piece and at + np.uint64(7) < end:
                    return scans.TOO_MUCH
                if piece + 1 >= len(bounds):
                    return scans.WRONG_RESTART
                at, end = np.uint64(bounds[piece]) * np.uint64(8), np.uint64(bounds[piece + 1]) * np.uint64(8)
                predictions[:] = 0
                left = interval
                piece += 1
            left -= 1
            for component in range(len(layout)):
                own, table = layout[component], tables[layout[component, scans.DC]]
                for down in range(own[scans.VERTICAL]):
                    y = row * own[scans.VERTICAL] + down
                    for across in range(own[scans.HORIZONTAL]):
                        x = column * own[scans.HORIZONTAL] + across
                        word = look(data, at >> np.uint64(3)) << (at & np.uint64(7))
                        value = np.int64(0)
                        if refines:
                            value = np.int64(word >> np.uint64(63))
                            at += np.uint64(1)
                        else:
                            entry = np.int64(table[word >> np.uint64(64 - LOOK)])
                            if entry == 0:
                                entry = long_code(table, word)
                            size, used = entry >> 8, np.uint64(entry & 0xFF)
                            if entry < 0 or size > 15:
                                return scans.WRONG_CODE
                            if size:
                                predictions[component] += signed(bits_behind(word, used, size), size)
                            value = predictions[component]
                            at += used
                        value <<= low
                        if abs(value) > LARGEST:
                            return scans.WRONG_CODE
                        if at > end:
                            return scans.ENDS_EARLY
                        if y < own[scans.ROWS] and x < own[scans.COLUMNS]:
                            out[place_of(own, y, x)] += value * factors[component]
    if at + np.uint64(7) < end:
        return scans.TOO_MUCH
    return scans.OK if piece + 1 == len(bounds) else scans.WRONG_RESTART
