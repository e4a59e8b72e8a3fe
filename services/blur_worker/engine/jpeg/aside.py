"""Blocks that the border of the picture cuts through, of a progressive JPEG: kept whole until all scans are read.

What keeps indices in range: `grid.plan` makes room for as many as a plane has.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.markers import ZIGZAG
from services.blur_worker.engine.jpeg.refitting import refit_block

ASIDE = scans.LAYOUT
"""One more column of a layout: where the blocks are that the border cuts through, `EACH` numbers each; those of the
last column of blocks by row, then those of the last row by column."""
EACH = scans.SPARE


@compiled(inline=True, uncounted=True)
def is_aside(layout: NDArray[np.int64], y: int, x: int) -> bool:
    """Whether the block is one of those that the border cuts through."""
    right = layout[scans.RAGGED_RIGHT] != 0 and x == layout[scans.COLUMNS] - 1
    return bool(right or (layout[scans.RAGGED_BOTTOM] != 0 and y == layout[scans.ROWS] - 1))


@compiled(inline=True, uncounted=True)
def place_of(layout: NDArray[np.int64], y: int, x: int) -> int:
    """Where a block of the plane begins."""
    if is_aside(layout, y, x):
        right = layout[scans.RAGGED_RIGHT] != 0 and x == layout[scans.COLUMNS] - 1
        return int(layout[ASIDE] + EACH * (y if right else layout[scans.ROWS] + x))
    return int(layout[scans.BASE] + y * layout[scans.PER_ROW] + x * layout[scans.PER_COLUMN])


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
                refit_block(
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
