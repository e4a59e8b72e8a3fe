"""A plane of the result that consists of cells: of a pixelated image, of a redacted one, or of one colour."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.cells import BlockCells
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane


class CellPlane:
    """Draws cells, some rows of blocks after the other; a `QuantizedPlane`."""

    def __init__(
        self,
        plane: CoefficientPlane,
        cells: NDArray[np.float32],
        down: BlockCells,
        across: BlockCells,
        quantization: QuantizationTable,
    ) -> None:
        """Draw the cells along rows.

        Args:
            plane: Of the original.
            cells: (cells down, cells across): samples around 0.
            down: How they are drawn along columns.
            across: How they are drawn along rows.
            quantization: The divisors of the result.
        """
        self.columns, self.rows, self.h, self.v = plane.columns, plane.rows, plane.h, plane.v
        table = quantization[FROM_ZIGZAG].reshape(8, 8).astype(np.float32)
        by_cell = across.coefficients(np.ascontiguousarray(cells.T), 0, self.columns).transpose(2, 1, 0)
        largest = np.outer(np.abs(down.weights).sum(axis=2).max(axis=0), np.abs(by_cell).max(axis=(0, 2)))
        # What would be rounded to 0 in any block need not be computed.
        seen = largest >= table / 2
        seen[0, 0] = True
        height, width = (int(np.flatnonzero(seen.any(axis=axis))[-1]) + 1 for axis in (1, 0))
        self.zigzag = FROM_ZIGZAG.reshape(8, 8)[:height, :width].ravel()
        """See `QuantizedPlane`."""
        self._down = BlockCells(down.first, np.ascontiguousarray(down.weights[:, :height]))
        self._by_cell = np.ascontiguousarray(by_cell[:, :width]).reshape(len(cells), width * self.columns)
        self._scales = (1 / table[:height, :width]).reshape(-1, 1)

    def write_rows(self, begin: int, end: int, out: NDArray[np.int16]) -> None:
        """See `QuantizedPlane`."""
        exact = self._down.coefficients(self._by_cell, begin, end).reshape(out.shape)
        exact *= self._scales
        np.rint(exact, out=exact)
        np.clip(exact, -LARGEST, LARGEST, out=exact)
        out[:] = exact
