"""Look at the full size of the image where the first look has candidates for small faces."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes
from services.blur_worker.engine.finding.faces.first_look import MARGIN, looked_at
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.pyramid import Level
from services.blur_worker.engine.finding.faces.tiling import around, spans

_TILE = 384
_REACH = 48
"""What is looked at reaches so many pixels beyond the centre of a candidate."""
_MANY_CANDIDATES = 8
"""A tile with so many is looked at as a whole, however weak they are."""
_CROWD = 2
"""Where so many small faces are, more are near that the first look has missed."""
_CROWD_HEIGHT = 40
_CROWD_CONFIDENCE = 0.5

_Cell = tuple[int, int]
"""Row and column of a tile."""


def small_faces(
    network: Network, level: Level, candidates: Boxes, candidates_from: float, min_confidence: float
) -> Boxes:
    """Return what may be faces, in pixels of the image.

    Args:
        network: The detector of faces.
        level: The image at full size. Few candidates mean few tiles; a crowd costs no more than all of the image.
        candidates: What the first look returned, in pixels of the image.
        candidates_from: Confidence, 0 to 1, from which the surroundings of a candidate are looked at.
        min_confidence: Least confidence, 0 to 1, of what is returned.
    """
    height, width, _ = level.pixels.shape
    rows, columns = spans(height, _TILE, MARGIN), spans(width, _TILE, MARGIN)
    x, y = candidates[:, [0, 2]].mean(axis=1), candidates[:, [1, 3]].mean(axis=1)
    cells = _cells(y, [row.core_stop for row in rows]), _cells(x, [column.core_stop for column in columns])
    found = [NO_BOXES]
    crowded: deque[_Cell] = deque()
    for row, column in sorted(set(zip(*(each.tolist() for each in cells), strict=True))):
        here = (cells[0] == row) & (cells[1] == column)
        chosen = here & (candidates[:, 4] >= candidates_from)
        if here.sum() >= _MANY_CANDIDATES:
            crowded.append((row, column))
        elif chosen.any():
            part = around(y[chosen], rows[row], height, _REACH), around(x[chosen], columns[column], width, _REACH)
            found.append(looked_at(network, level, *part, min_confidence))
            if _is_crowd(found[-1]):
                crowded.append((row, column))
    seen: set[_Cell] = set()
    while crowded:
        row, column = crowded.popleft()
        if (row, column) in seen or not (0 <= row < len(rows) and 0 <= column < len(columns)):
            continue
        seen.add((row, column))
        found.append(looked_at(network, level, rows[row], columns[column], min_confidence))
        if _is_crowd(found[-1]):
            crowded += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return np.concatenate(found)


def _cells(centres: NDArray[np.float32], stops: list[int]) -> NDArray[np.intp]:
    return np.searchsorted(stops, centres, side="right").clip(0, len(stops) - 1)


def _is_crowd(boxes: Boxes) -> bool:
    small = boxes[:, 3] - boxes[:, 1] < _CROWD_HEIGHT
    return int((small & (boxes[:, 4] >= _CROWD_CONFIDENCE)).sum()) >= _CROWD
