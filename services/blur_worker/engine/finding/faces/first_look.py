"""Look at a whole level for what may be a face."""

import numpy as np

from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes, peaks
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.pyramid import Level
from services.blur_worker.engine.finding.faces.tiling import Span, around, cut, tiles

_TILE = 512
"""Side of the network's input in pixels: the processor's cache holds its activations."""
_AROUND_TILE = 384
_AROUND = 48
"""What is looked at reaches so many pixels beyond the centre of a place."""
_MARGIN = 32
"""A larger face that two tiles cut is whole on the next level."""


def candidates(network: Network, level: Level, min_confidence: float) -> Boxes:
    """Return what may be faces, in pixels of the image; some more than once."""
    height, width = level.pixels.shape[:2]
    found = [NO_BOXES]
    for rows, columns in tiles(height, width, _TILE, _MARGIN):
        boxes = peaks(network.run(cut(level.pixels, rows, columns)[np.newaxis]), min_confidence)
        found.append(_of_core(boxes, rows, columns))
    boxes = np.concatenate(found)
    boxes[:, :4] *= level.reduction
    return boxes


def candidates_around(network: Network, level: Level, places: Boxes, min_confidence: float) -> Boxes:
    """Return what may be faces where something is already suspected, in pixels of the image.

    Args:
        network: It looks.
        level: It is looked at in rectangles around the places, so that a few places cost little and many no more than
            all of it.
        places: In pixels of the image.
        min_confidence: 0 to 1.
    """
    height, width = level.pixels.shape[:2]
    found = [NO_BOXES]
    x, y = places[:, [0, 2]].mean(axis=1) / level.reduction, places[:, [1, 3]].mean(axis=1) / level.reduction
    for rows, columns in tiles(height, width, _AROUND_TILE, _MARGIN):
        inside = (columns.core_start <= x) & (x < columns.core_stop) & (rows.core_start <= y) & (y < rows.core_stop)
        if inside.any():
            part = (around(y[inside], rows, height, _AROUND), around(x[inside], columns, width, _AROUND))
            boxes = peaks(network.run(cut(level.pixels, *part)[np.newaxis]), min_confidence)
            found.append(_of_core(boxes, *part))
    boxes = np.concatenate(found)
    boxes[:, :4] *= level.reduction
    return boxes


def _of_core(boxes: Boxes, rows: Span, columns: Span) -> Boxes:
    """Return the boxes of a tile that have their centre in its core, in pixels of the level."""
    boxes[:, [0, 2]] += columns.start
    boxes[:, [1, 3]] += rows.start
    x, y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
    inside = (columns.core_start <= x) & (x < columns.core_stop) & (rows.core_start <= y) & (y < rows.core_stop)
    of_core: Boxes = boxes[inside]
    return of_core
