"""From the grids of a picture to the bytes of its blurred result."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg import entropy, synthesis
from services.blur_worker.engine.jpeg.envelope import Envelope
from services.blur_worker.engine.jpeg.grid import Grid, Picture
from services.blur_worker.engine.jpeg.huffman import encoding_table
from services.blur_worker.engine.jpeg.markers import ZIGZAG
from services.blur_worker.engine.stopwatch import Stopwatch

_BLOCKS_AT_ONCE = 1 << 13
_OVERSHOOT = 1.2
"""Samples as stored may lie a little beyond those that can be shown."""
_EOI = b"\xff\xd9"

Block = NDArray[np.float32]


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

    def rows_of(self, begin: int, end: int, out: NDArray[np.int16], exact: Block | None = None) -> None:
        """Makes the next rows; `out` and `exact` are (rows, kinds, columns), `exact` not rounded."""
        synthesis.blur_rows(
            self._cells, self._inner, *self._x, *self._y, self._done, self._ring, begin, end, self.wide, self._scales, out, self._exact if exact is None else exact,
        )  # fmt: skip

    def order(self) -> list[tuple[int, int]]:
        """Place in the stream and kind of each."""
        kinds = {
            (v, u): number
            for number, (v, u) in enumerate((v, u) for v, wide in enumerate(self.wide) for u in range(wide))
        }
        return [(place, kinds[at]) for place, at in enumerate(divmod(at, 8) for at in ZIGZAG.tolist()) if at in kinds]


def write(picture: Picture, envelope: Envelope, watch: Stopwatch) -> bytes:
    """Blurs and encodes."""
    grids = picture.grids
    planes = [PlaneBlur(grid, divisors) for grid, divisors in zip(grids, envelope.quantization, strict=True)]
    mcu_rows = max(-(-plane.rows // grid.vertical) for plane, grid in zip(planes, grids, strict=True))
    mcu_columns = max(-(-plane.columns // grid.horizontal) for plane, grid in zip(planes, grids, strict=True))
    blocks = mcu_columns * sum(grid.horizontal * grid.vertical for grid in grids)
    at_once = min(mcu_rows, max(1, _BLOCKS_AT_ONCE // blocks))
    sizes = [at_once * grid.vertical * plane.kinds * plane.columns for plane, grid in zip(planes, grids, strict=True)]
    begins = np.cumsum([0, *sizes]).tolist()
    made = np.empty(begins[-1], np.int16)
    order = np.array([each for plane in planes for each in plane.order()])
    dc, ac = (np.stack([encoding_table(each) for each in tables]) for tables in (envelope.dc, envelope.ac))
    bits, state = np.zeros(1, np.uint64), np.zeros(entropy.STATE, np.int64)
    out = np.empty(entropy.room_for(at_once * blocks), np.uint8)
    parts = [envelope.head]
    for begin in range(0, mcu_rows, at_once):
        count = min(at_once, mcu_rows - begin)
        layout, first_kind = [], 0
        for plane, grid, base in zip(planes, grids, begins, strict=False):
            first = begin * grid.vertical
            rows = min(count * grid.vertical, plane.rows - first)
            part = made[base : base + rows * plane.kinds * plane.columns].reshape(rows, plane.kinds, plane.columns)
            plane.rows_of(first, first + rows, part)
            layout.append([grid.horizontal, grid.vertical, plane.columns, rows, base, plane.kinds, first_kind])
            first_kind += plane.kinds
        watch.lap("blur")
        entropy.write_rows(made, np.array(layout), dc, ac, order, count, mcu_columns, bits, state, out)
        parts.append(out[: state[entropy.WRITTEN]].tobytes())
        state[entropy.WRITTEN] = 0
        watch.lap("encode")
    parts.append(_rest(int(bits[0]), int(state[entropy.COUNT])))
    return b"".join([*parts, _EOI])


def _rest(bits: int, count: int) -> bytes:
    """The last bits, filled up with ones."""
    missing = -count % 8
    left = ((bits & ((1 << count) - 1)) << missing) | ((1 << missing) - 1)
    return left.to_bytes((count + missing) // 8, "big").replace(b"\xff", b"\xff\x00")
