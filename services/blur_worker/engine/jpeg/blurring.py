"""One plane of the blurred picture, made some rows of blocks at a time."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import synthesis
from services.blur_worker.engine.jpeg.grid import Grid
from services.blur_worker.engine.jpeg.markers import ZIGZAG
from services.blur_worker.engine.jpeg.writing import Kinds

_OVERSHOOT = 1.2
"""Samples as stored may lie a little beyond those that can be shown."""


class PlaneBlur:
    """Blurs one plane, some rows of blocks after the other."""

    def __init__(self, grid: Grid, divisors: NDArray[np.uint16]) -> None:
        table = divisors[np.argsort(ZIGZAG)].reshape(8, 8).astype(np.float64)
        largest = 128 * _OVERSHOOT * np.outer(grid.y.largest, grid.x.largest)
        # What would be rounded to 0 in any picture need not be computed.
        seen = np.logical_or.accumulate((largest >= table / 2)[:, ::-1], axis=1)[:, ::-1]
        seen[0, 0] = True
        self.wide = seen[: int(np.max(np.nonzero(seen[:, 0]))) + 1].sum(axis=1)
        """How many coefficients of each row of a block may be other than 0 in the result."""
        self.columns, self.rows = grid.columns, grid.rows
        self.horizontal, self.vertical = grid.horizontal, grid.vertical
        self._x = (grid.x.starts, grid.x.which, grid.x.stencils, grid.x.taps)
        self._y = (grid.y.starts, grid.y.which, grid.y.stencils, grid.y.taps)
        self._cells = grid.cells()
        self._inner = np.array([grid.x.together, grid.x.first, grid.x.start, grid.x.inner])
        self._scales = np.ascontiguousarray(1 / table, np.float32)
        self._done = np.zeros(1, np.int64)
        self._ring = np.empty((grid.y.window, grid.y.kept, int(self.wide.max()) * self.columns), np.float32)
        self._exact = np.empty((0, 0, 0), np.float32)

    @property
    def kinds(self) -> int:
        """All of those together."""
        return int(self.wide.sum())

    def rows_of(self, begin: int, end: int, out: NDArray[np.int16], exact: NDArray[np.float32] | None = None) -> None:
        """Makes the next rows; `out` and `exact` are (rows, kinds, columns), `exact` not rounded."""
        synthesis.blur_rows(
            self._cells, self._inner, *self._x, *self._y, self._done, self._ring, begin, end, self.wide,
            self._scales, out, self._exact if exact is None else exact,
        )  # fmt: skip

    def order(self) -> Kinds:
        """Place in the stream and kind of each."""
        kinds = [8 * v + u for v, wide in enumerate(self.wide) for u in range(wide)]
        return [(place, kinds.index(at)) for place, at in enumerate(ZIGZAG.tolist()) if at in kinds]
