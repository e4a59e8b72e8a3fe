"""Non-maximum suppression: of boxes that show the same face, keep the most confident."""

import numpy as np

from services.blur_worker.engine.finding.faces.decoding import Boxes

_ALIKE = 0.5
"""Intersection over union from which two boxes certainly show one face."""
_AS_CONFIDENT = 0.8
"""Share of the confidence of a box from which another one counts for where the face ends."""


def without_duplicates(boxes: Boxes, max_overlap: float = 0.3, max_inside: float = 0.7) -> Boxes:
    """Return the boxes from the most to the least confident, without those that show the same as a more confident one.

    Each holds what others see of the same face, as far as they are about as confident: one may show half of it.

    Args:
        boxes: In any order.
        max_overlap: Intersection over union from which two boxes show the same face.
        max_inside: Intersection over the smaller area, likewise: for a part of a face that looks like a face.
    """
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(boxes))
    found = boxes.copy()
    kept = []
    while left.size:
        best, rest = left[0], left[1:]
        kept.append(best)
        width = np.minimum(boxes[best, 2], boxes[rest, 2]) - np.maximum(boxes[best, 0], boxes[rest, 0])
        height = np.minimum(boxes[best, 3], boxes[rest, 3]) - np.maximum(boxes[best, 1], boxes[rest, 1])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        same = shared >= max_overlap * (areas[best] + areas[rest] - shared)
        same |= shared >= max_inside * np.minimum(areas[best], areas[rest])
        alike = shared >= _ALIKE * (areas[best] + areas[rest] - shared)
        alike &= boxes[rest, 4] >= _AS_CONFIDENT * boxes[best, 4]
        found[best, :2] = np.minimum(found[best, :2], boxes[rest[alike], :2].min(axis=0, initial=np.inf))
        found[best, 2:4] = np.maximum(found[best, 2:4], boxes[rest[alike], 2:4].max(axis=0, initial=-np.inf))
        left = rest[~same]
    return found[kept]


def not_within(boxes: Boxes, others: Boxes) -> Boxes:
    """Return the boxes whose centre is in none of some others."""
    x, y = boxes[:, [0, 2]].mean(axis=1)[:, np.newaxis], boxes[:, [1, 3]].mean(axis=1)[:, np.newaxis]
    within = (others[:, 0] < x) & (x < others[:, 2]) & (others[:, 1] < y) & (y < others[:, 3])
    outside: Boxes = boxes[~within.any(axis=1)]
    return outside
