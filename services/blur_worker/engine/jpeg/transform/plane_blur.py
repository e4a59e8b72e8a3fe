"""One plane of the blurred image, made some rows of blocks at a time."""

from functools import lru_cache

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
        divisors = quantization.astype(np.uint16).tobytes()
        self.widths, self.zigzag, self._scales = _wanted(divisors, plane.y.largest.tobytes(), plane.x.largest.tobytes())
        self.columns, self.rows, self.h, self.v = plane.columns, plane.rows, plane.h, plane.v
        self._cells, self._x, self._y = plane.cells().reshape(-1), unnamed(plane.x), unnamed(plane.y)
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


@lru_cache(maxsize=64)
def _wanted(
    divisors: bytes, largest_down: bytes, largest_across: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return what is computed of each block, which is the same for the images of most orders.

    Args:
        divisors: A quantization table of 16-bit numbers.
        largest_down: `AxisGaussian.largest` along columns.
        largest_across: The same along rows.

    Returns:
        How many coefficients of each row of a block may be other than 0 in the result; the places of these in zig-zag
        order; what each of (8, 8) coefficients is multiplied by before it is rounded.
    """
    table = np.frombuffer(divisors, np.uint16)[FROM_ZIGZAG].reshape(8, 8).astype(np.float64)
    largest = 128 * _OVERSHOOT * np.outer(np.frombuffer(largest_down), np.frombuffer(largest_across))
    # What would be rounded to 0 in any image need not be computed.
    seen = np.logical_or.accumulate((largest >= table / 2)[:, ::-1], axis=1)[:, ::-1]
    seen[0, 0] = True
    seen = seen[: int(np.max(np.nonzero(seen[:, 0]))) + 1]
    return seen.sum(axis=1), FROM_ZIGZAG[np.flatnonzero(seen)], np.ascontiguousarray(1 / table, np.float32)
