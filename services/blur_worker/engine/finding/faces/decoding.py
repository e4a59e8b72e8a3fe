"""From the network's maps to boxes."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.network import STRIDE, FaceMaps

Boxes = NDArray[np.float32]
"""Shape (count, 5): left, top, right, bottom in pixels, confidence."""

NO_BOXES: Boxes = np.empty((0, 5), np.float32)


def peaks(maps: FaceMaps, min_confidence: float) -> Boxes:
    """Return the boxes of the cells that are at or above a confidence and above their eight neighbours.

    Args:
        maps: Of one input.
        min_confidence: 0 to 1.
    """
    (confidence,) = maps.confidence
    edged = np.pad(confidence, 1)
    highest = np.maximum(np.maximum(edged[:, :-2], edged[:, 1:-1]), edged[:, 2:])
    highest = np.maximum(np.maximum(highest[:-2], highest[1:-1]), highest[2:])
    rows, columns = np.nonzero((confidence >= min_confidence) & (confidence == highest))
    return boxes_at(maps, np.zeros_like(rows), rows, columns)


def boxes_at(maps: FaceMaps, inputs: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Boxes:
    """Return the boxes of cells, in pixels of their inputs."""
    height, width = np.exp(maps.log_size[inputs, :, rows, columns]).T * STRIDE
    down, right = maps.offset[inputs, :, rows, columns].T
    x = (columns + right + 0.5) * STRIDE
    y = (rows + down + 0.5) * STRIDE
    sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return np.stack((*sides, maps.confidence[inputs, rows, columns]), axis=1).astype(np.float32)
