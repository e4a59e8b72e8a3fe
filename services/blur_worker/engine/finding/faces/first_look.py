"""Look at a whole level for what may be a face."""

import numpy as np

from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes, peaks
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.pyramid import Level
from services.blur_worker.engine.finding.faces.tiling import Span, cut, tiles

_TILE = 512
"""Side of the network's input in pixels: the processor's cache holds its activations."""
MARGIN = 32
"""A larger face that two tiles cut is whole on the next level."""


def candidates(network: Network, level: Level, min_confidence: float) -> Boxes:
    """Return what may be faces, in pixels of the image; some more than once."""
    height, width = level.pixels.shape[:2]
    found = [NO_BOXES]
    for rows, columns in tiles(height, width, _TILE, MARGIN):
        found.append(looked_at(network, level, rows, columns, min_confidence))
    boxes = np.concatenate(found)
    boxes[:, :4] *= level.reduction
    return boxes


def looked_at(network: Network, level: Level, rows: Span, columns: Span, min_confidence: float) -> Boxes:
    """Return what may be faces with their centre in the core of a tile, in pixels of the level."""
    boxes = peaks(network.run(cut(level.pixels, rows, columns)[np.newaxis]), min_confidence)
    boxes[:, [0, 2]] += columns.start
    boxes[:, [1, 3]] += rows.start
    x, y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
    inside = (columns.core_start <= x) & (x < columns.core_stop) & (rows.core_start <= y) & (y < rows.core_stop)
    of_core: Boxes = boxes[inside]
    return of_core
