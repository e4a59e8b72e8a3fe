"""From the network's maps to boxes."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.network import STRIDE, FaceMaps

Boxes = NDArray[np.float32]
"""Shape (count, 5): left, top, right, bottom in pixels, confidence."""

NO_BOXES: Boxes = np.empty((0, 5), np.float32)


def boxes_of(maps: FaceMaps, min_confidence: float) -> Boxes:
    """Return the boxes of the cells at or above a confidence, in pixels of the input; many for one face."""
    rows, columns = np.nonzero(maps.confidence >= min_confidence)
    if not rows.size:
        return NO_BOXES
    height, width = np.exp(maps.log_size[:, rows, columns]) * STRIDE
    down, right = maps.offset[:, rows, columns]
    x = (columns + right + 0.5) * STRIDE
    y = (rows + down + 0.5) * STRIDE
    sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return np.stack((*sides, maps.confidence[rows, columns]), axis=1).astype(np.float32)
