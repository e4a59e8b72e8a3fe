"""Reads progressive scans of the means of blocks, bit by bit more exactly.

What keeps indices in range: as in `scans`; a block takes at most 31 bits.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.codes import LOOK, bits_behind, long_code, signed
from services.blur_worker.engine.jpeg.markers import ZIGZAG
from services.blur_worker.engine.jpeg.scans import _look, _refit

ASIDE = scans.LAYOUT
"""One more column of a layout: where the blocks are that the border cuts through, `EACH` numbers each; those of the
last column of blocks by row, then those of the last row by column."""
EACH = scans.SPARE
LARGEST = 32767
"""No coefficient is larger, or libjpeg would not know it either."""


@compiled(inline=True)
def is_aside(layout: NDArray[np.int64], y: int, x: int) -> bool:
    """Whether the block is one of those that the border cuts through."""
    right = layout[scans.RAGGED_RIGHT] != 0 and x == layout[scans.COLUMNS] - 1
    return bool(right or (layout[scans.RAGGED_BOTTOM] != 0 and y == layout[scans.ROWS] - 1))


@compiled(inline=True)
def place_of(layout: NDArray[np.int64], y: int, x: int) -> int:
    """Where a block of the plane begins."""
    if is_aside(layout, y, x):
        right = layout[scans.RAGGED_RIGHT] != 0 and x == layout[scans.COLUMNS] - 1
        return int(layout[ASIDE] + EACH * (y if right else layout[scans.ROWS] + x))
    return int(layout[scans.BASE] + y * layout[scans.PER_ROW] + x * layout[scans.PER_COLUMN])


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
                        word = _look(data, at >> np.uint64(3)) << (at & np.uint64(7))
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


@compiled("void(int64[::1], float32[:, ::1], float32[:, ::1], int64[:, ::1], uint8[::1], float32[::1])", uncounted=True)
def _fit(
    layout: NDArray[np.int64],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    targets: NDArray[np.int64],
    places: NDArray[np.uint8],
    out: NDArray[np.float32],
) -> None:
    columns, rows = layout[scans.COLUMNS], layout[scans.ROWS]
    for y in range(rows):
        for x in range(0 if y == rows - 1 else columns - 1, columns):
            if is_aside(layout, y, x):
                base = layout[scans.BASE] + y * layout[scans.PER_ROW] + x * layout[scans.PER_COLUMN]
                _refit(
                    out, place_of(layout, y, x),
                    across, 0 if x == columns - 1 else 1,
                    down, 0 if y == rows - 1 else 1,
                    targets, 0, places, base,
                )  # fmt: skip


def fit_aside(
    layout: NDArray[np.int64],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    targets: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Puts the blocks that the border cuts through where the others are, fitted to what is seen of them.

    Args:
        layout: That of the component, with `ASIDE`.
        across: (8, 8): what the last column of blocks is multiplied by.
        down: The same for the last row.
        targets: See `ac_scans.read_first`.
        out: Has the coefficients.
    """
    same = np.eye(8, dtype=np.float32)
    _fit(layout, np.stack([across, same]).reshape(2, 64), np.stack([down, same]).reshape(2, 64), targets, ZIGZAG, out)
