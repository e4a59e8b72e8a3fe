"""The soft edge around a mask (compiled).

Source: Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions (2012).
"""

import math

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

_Distances = NDArray[np.int32]


@compiled()
def _vertical_distances(mask: NDArray[np.uint8], far: np.int32) -> _Distances:
    """Return the rows from each pixel to the nearest at 255 in its column, at most `far`."""
    rows, columns = mask.shape
    distances = np.full((rows, columns), far, np.int32)
    for row in range(rows):
        for column in range(columns):
            if mask[row, column]:
                distances[row, column] = 0
            elif row:
                distances[row, column] = min(distances[row - 1, column] + 1, far)
    for row in range(rows - 2, -1, -1):
        for column in range(columns):
            distances[row, column] = min(distances[row, column], distances[row + 1, column] + 1)
    return distances


@compiled()
def _nearest_columns(
    distances: _Distances, far: np.int32, nearest: NDArray[np.int64], begins: NDArray[np.float64]
) -> int:
    """Find the lower envelope of the parabolas of a row; return how many there are.

    Args:
        distances: Shape (columns,): of a row.
        far: The value used as infinity.
        nearest: Shape (columns,): gets the columns in which the pixel lies that is nearest, from left to right.
        begins: Shape (columns,): gets where each of them begins to be the nearest.
    """
    count = 0
    for column in range(len(distances)):
        if distances[column] >= far:
            continue
        level = float(column) ** 2 + float(distances[column]) ** 2
        begin = -1.0
        while count:
            other = nearest[count - 1]
            begin = (level - float(other) ** 2 - float(distances[other]) ** 2) / (2.0 * (column - other))
            if begin > begins[count - 1]:
                break
            count -= 1
        nearest[count] = column
        begins[count] = begin if count else -1.0
        count += 1
    return count


@compiled("void(u1[:, ::1], f8)")
def add_feather(mask: NDArray[np.uint8], width: float) -> None:
    """Make a mask of 0 and 255 fall off linearly, within so many pixels, around all that is 255.

    Distances are Euclidean, from the middle of a pixel to the edge of the nearest one at 255.
    """
    rows, columns = mask.shape
    far = np.int32(min(math.ceil(width) + 2, 1 << 20))
    distances = _vertical_distances(mask, far)
    nearest, begins = np.empty(columns, np.int64), np.empty(columns)
    for row in range(rows):
        count = _nearest_columns(distances[row], far, nearest, begins)
        at = 0
        for column in range(columns if count else 0):
            while at + 1 < count and begins[at + 1] < column:
                at += 1
            distance = math.hypot(distances[row, nearest[at]], column - nearest[at]) - 0.5
            if mask[row, column] == 0 and distance < width:
                mask[row, column] = np.uint8(round(255 * (1 - distance / width)))
