"""One plane of the blurred picture, made some rows of blocks at a time."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import synthesis
from services.blur_worker.engine.jpeg.axis import Axis
from services.blur_worker.engine.jpeg.grid import Grid
from services.blur_worker.engine.jpeg.markers import ZIGZAG
from services.blur_worker.engine.jpeg.writing import Kinds

_OVERSHOOT = 1.2
"""Samples as stored may lie a little beyond those that can be shown."""

_LINE = 64
"""Bytes of a line of the processor's cache."""


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
        self.kinds = int(self.wide.sum())
        self.columns, self.rows = grid.columns, grid.rows
        self.horizontal, self.vertical = grid.horizontal, grid.vertical
        x, y = grid.x, grid.y
        self._x: synthesis.Along = (*_along(x), x.by_tap, x.plain, x.shared.parts, x.shared.weights)
        self._y: synthesis.Along = (*_along(y), y.by_coefficient, y.plain, y.shared.parts, y.shared.weights)
        cells = grid.cells()
        self._cells, self._across = cells.reshape(-1), cells.shape[2]
        self._scales = np.ascontiguousarray(1 / table, np.float32)
        self._done = np.zeros(1, np.int64)
        longest = synthesis.room_for(self._across, self.columns, int(self.wide.max()))
        self._ring = np.empty(grid.y.window * grid.y.kept * int(self.wide.max()) * self.columns, np.float32)
        most = max(each.shape[2] for each in (x.shared.weights, y.shared.weights, y.by_coefficient))
        self._parts = _aligned(most * longest).reshape(most, longest)
        self._total = _aligned(longest)
        self._exact = np.empty(0, np.float32)

    def rows_of(self, begin: int, end: int, out: NDArray[np.int16], exact: NDArray[np.float32] | None = None) -> None:
        """Makes the next rows; `out` and `exact` are (rows, kinds, columns), `exact` not rounded."""
        synthesis.blur_rows(
            self._cells, self._x, self._y, self._done, self._ring, self._parts, self._total, self._across,
            self.columns, begin, end, self.wide, self._scales, out.reshape(-1),
            self._exact if exact is None else exact.reshape(-1),
        )  # fmt: skip

    def order(self) -> Kinds:
        """Place in the stream and kind of each."""
        kinds = [8 * v + u for v, wide in enumerate(self.wide) for u in range(wide)]
        return [(place, kinds.index(at)) for place, at in enumerate(ZIGZAG.tolist()) if at in kinds]


def _along(axis: Axis) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    facts = [axis.together, axis.first, axis.start, axis.inner, axis.window, axis.kept, axis.shared.alike]
    return np.array(facts, np.int64), axis.starts, axis.which


def _aligned(count: int) -> NDArray[np.float32]:
    """So many zeros from the beginning of a cache line on: a vector across two lines takes twice as long."""
    room = np.zeros(count + _LINE // 4, np.float32)
    begin = -room.ctypes.data % _LINE // 4
    return room[begin : begin + count]
