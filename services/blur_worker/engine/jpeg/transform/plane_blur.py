"""One plane of the blurred image, made some rows of blocks at a time."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.blur_rows import blur_rows, buffers, unnamed
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane

_OVERSHOOT = 1.2
"""Samples as stored may lie a little beyond those that can be shown."""
_NOTHING = np.empty(0, np.float32)


class PlaneBlur:
    """Blurs one plane, some rows of blocks after the other; a `QuantizedPlane`."""

    def __init__(self, plane: CoefficientPlane, quantization: QuantizationTable) -> None:
        table = quantization[FROM_ZIGZAG].reshape(8, 8).astype(np.float64)
        largest = 128 * _OVERSHOOT * np.outer(plane.y.largest, plane.x.largest)
        # What would be rounded to 0 in any image need not be computed.
        seen = np.logical_or.accumulate((largest >= table / 2)[:, ::-1], axis=1)[:, ::-1]
        seen[0, 0] = True
        seen = seen[: int(np.max(np.nonzero(seen[:, 0]))) + 1]
        self.widths = seen.sum(axis=1)
        """How many coefficients of each row of a block may be other than 0 in the result."""
        self.zigzag = FROM_ZIGZAG[np.flatnonzero(seen)]
        self.columns, self.rows, self.h, self.v = plane.columns, plane.rows, plane.h, plane.v
        self._cells, self._x, self._y = plane.cells().reshape(-1), unnamed(plane.x), unnamed(plane.y)
        self._scales = np.ascontiguousarray(1 / table, np.float32)
        self._buffers = unnamed(buffers(plane.x, plane.y, int(self.widths.max())))

    def write_rows(self, begin: int, end: int, out: NDArray[np.int16], exact: NDArray[np.float32] = _NOTHING) -> None:
        """Make the next rows; `out` and `exact` are (rows, coefficients, columns), `exact` not rounded."""
        blur_rows(
            self._cells,
            self._x,
            self._y,
            self._buffers,
            self.widths,
            self._scales,
            begin,
            end,
            out.reshape(-1),
            exact.reshape(-1),
        )
