"""A pixelated JPEG: from coefficients to the means of cells, and to the coefficients of what these show."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.cell_plane import CellPlane
from services.blur_worker.engine.jpeg.transform.cells import BlockCells, weights_of_means, weights_of_samples
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane
from services.blur_worker.engine.raster import Size


def pixelated_planes(
    planes: Sequence[CoefficientPlane], size: Size, side: int, quantization: Sequence[QuantizationTable]
) -> list[CellPlane]:
    """Return the planes of an image of this size with cells of `side` pixels; of the planes all is decoded."""
    v_max, h_max = max(plane.v for plane in planes), max(plane.h for plane in planes)
    made = []
    for plane, table in zip(planes, quantization, strict=True):
        steps = plane.orientation
        down, drawn_down = _weights(size[1], side, v_max // plane.v, flipped=steps.flipped_y)
        across, drawn_across = _weights(size[0], side, h_max // plane.h, flipped=steps.flipped_x)
        cells_down, cells_across = -(-size[1] // side), -(-size[0] // side)
        by_row = down.means(plane.values.reshape(plane.rows, 8, 8 * plane.columns), cells_down)
        by_column = by_row.reshape(cells_down, 8, plane.columns).transpose(2, 1, 0)
        means = across.means(np.ascontiguousarray(by_column), cells_across).T
        made.append(CellPlane(plane, means.clip(-128, 127), drawn_down, drawn_across, table))
    return made


@lru_cache(maxsize=16)
def _weights(length: int, side: int, pixels: int, *, flipped: bool) -> tuple[BlockCells, BlockCells]:
    return weights_of_means(length, side, pixels, flipped=flipped), weights_of_samples(length, side, pixels)
