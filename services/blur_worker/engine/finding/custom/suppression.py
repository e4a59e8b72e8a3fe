"""Non-maximum suppression."""

import numpy as np

from services.blur_worker.engine.finding.custom.layouts import Candidates

_MOST = 3000
"""Candidates that are compared; the most confident."""


def keep_most_confident(found: Candidates, max_overlap: float) -> list[int]:
    """Return the candidates to keep, most confident first.

    A candidate is dropped if it overlaps a more confident one of its class by more than `max_overlap` (intersection
    over union).
    """
    order = np.argsort(-found.scores, kind="stable")[:_MOST]
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        overlaps = (_overlaps(found, best, order) > max_overlap) & (found.classes[order] == found.classes[best])
        order = order[~overlaps]
    return kept


def _overlaps(found: Candidates, one: int, others: np.ndarray) -> np.ndarray:
    box, boxes = found.boxes[one], found.boxes[others]
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray(common / (np.prod(box[2:] - box[:2]) + areas - common))
