"""The face detector: a cheap look for all that may be a face, and a second one that decides."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes
from services.blur_worker.engine.finding.faces.first_look import candidates
from services.blur_worker.engine.finding.faces.full_size import small_faces
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.plans import PLANS, Plan
from services.blur_worker.engine.finding.faces.pyramid import Level, pyramid
from services.blur_worker.engine.finding.faces.second_look import CAREFUL, QUICK, examine
from services.blur_worker.engine.finding.faces.suppression import not_within, without_duplicates
from services.blur_worker.engine.finding.faces.turning import turned, turned_back
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_MANY = 3
"""Number of faces turned alike that is no accident."""
_UPRIGHT_FROM = 0.1
"""Confidence of the first look from which an upright face gets a second one."""
_SMALL = 24
"""Pixels of the level below which a candidate is small."""
_LOWEST = 0.05
"""Confidence below which nearly nothing is a face."""
_MEAN_WEIGHT = 1.1
"""A face half hidden is seen by the first look, with what is around it, and less well by the second."""
_QUICK_FROM = 0.1
"""Confidence of the quick look at a turned face from which it gets a careful one."""


class FaceDetector:
    """Finds faces; docs/finding.md has how well."""

    min_confidence = 0.35
    padding = 0.2

    def __init__(self, model: FindModel, weights: bytes) -> None:
        """Load the network."""
        self.model = model
        self._network = Network(weights)

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return the faces of an image; see `Detector`."""
        min_confidence = self.min_confidence if find.min_confidence is None else find.min_confidence
        height, width = pixels.shape[:2]
        # A higher one only filters: it must not change how confident a face is.
        boxes = self._boxes(pixels, min(max(min_confidence, _LOWEST), self.min_confidence), PLANS[effort])
        boxes = boxes[boxes[:, 4] >= min_confidence]
        boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, width)
        boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, height)
        return [
            Detection(left=left, top=top, right=right, bottom=bottom, confidence=min(confidence, 1.0))
            for left, top, right, bottom, confidence in boxes.tolist()
            if left < right and top < bottom
        ]

    def _boxes(self, pixels: RgbPixels, min_confidence: float, plan: Plan) -> Boxes:
        levels = pyramid(pixels, plan.reduction)
        found, unsure = self._upright_boxes(levels, min_confidence, plan)
        if plan.turns:
            unsure = unsure[unsure[:, 3] - unsure[:, 1] >= plan.smallest_turned]
            others = self._turned_boxes(levels, not_within(unsure, found), min_confidence, plan, len(found))
            found = without_duplicates(np.concatenate((found, others)))
        return found

    def _upright_boxes(self, levels: list[Level], min_confidence: float, plan: Plan) -> tuple[Boxes, Boxes]:
        """Return the upright faces, and what else the first look saw, from the most to the least confident."""
        unsure = self._candidates(levels, min(plan.upright_from, plan.turned_from, min_confidence), plan)
        certain = unsure[:, 4] >= max(plan.certain_from, min_confidence)
        found, unsure = without_duplicates(unsure[certain]), not_within(unsure[~certain], unsure[certain])
        worthy = unsure[unsure[:, 4] >= min(_UPRIGHT_FROM, min_confidence)]
        worthy = worthy[worthy[:, 3] - worthy[:, 1] >= plan.smallest]
        upright = self._upright(levels, worthy[: plan.looks(levels)])
        return without_duplicates(np.concatenate((found, upright[upright[:, 4] >= min_confidence]))), unsure

    def _candidates(self, levels: list[Level], lowest: float, plan: Plan) -> Boxes:
        """Return what may be a face, from the most to the least confident."""
        seen = [NO_BOXES]
        seen += [candidates(self._network, level, lowest) for level in levels if level.reduction >= plan.reduction]
        boxes = np.concatenate(seen)
        if plan.full_size and plan.reduction > 1:
            small = (boxes[:, 3] - boxes[:, 1] < _SMALL * plan.reduction) & (boxes[:, 4] < plan.certain_from)
            closer = small_faces(self._network, levels[0], boxes[small], plan.upright_from, lowest)
            boxes = np.concatenate((boxes, closer))
        return without_duplicates(boxes, max_overlap=0.5, max_inside=0.9)

    def _upright(self, levels: list[Level], boxes: Boxes) -> Boxes:
        """Return the boxes as the second look sees them, or as the first one did if that was more confident."""
        second = examine(self._network, levels, boxes, CAREFUL, 0)
        better = second[:, 4] >= boxes[:, 4]
        both = np.where(better[:, np.newaxis], second, boxes)
        both[:, 4] = np.maximum(second[:, 4], _MEAN_WEIGHT * (boxes[:, 4] + second[:, 4]) / 2)
        return both

    def _turned_boxes(
        self, levels: list[Level], boxes: Boxes, min_confidence: float, plan: Plan, upright: int
    ) -> Boxes:
        """Return the turned faces among some boxes; give up where the most likely of the rest are none.

        Where several are turned alike, look at the whole image turned: it is likely to hold more.
        """
        found = [NO_BOXES]
        some = 3 + round(5 * levels[0].megapixels)
        for start in range(0, min(len(boxes), plan.looks(levels)), some):
            seen, turns = self._turned(levels, boxes[start : start + some], plan.turns)
            good = seen[:, 4] >= min_confidence
            found.append(seen[good])
            degrees, counts = np.unique(turns[good], return_counts=True)
            if counts.size and counts.max() >= max(_MANY, upright / 10):
                found.append(
                    self._whole_turned(levels[0].pixels, float(degrees[counts.argmax()]), min_confidence, plan)
                )
                break
            # Among many upright faces, one that is turned is an exception, and more are unlikely.
            if good.sum() < (some / 4 if upright >= _MANY else 1):
                break
        return np.concatenate(found)

    def _turned(self, levels: list[Level], boxes: Boxes, turns: tuple[float, ...]) -> tuple[Boxes, NDArray[np.float64]]:
        """Return what a second look sees at each of the turns, where it is worth it, and the turn at which it does."""
        views = np.stack([examine(self._network, levels, boxes, QUICK, turn) for turn in turns])
        best = views[:, :, 4].argmax(axis=0)
        boxes = views[best, np.arange(len(boxes))]
        worthy = boxes[:, 4] >= _QUICK_FROM
        degrees = np.array(turns, np.float64)[best[worthy]]
        return examine(self._network, levels, boxes[worthy], CAREFUL, degrees), degrees

    def _whole_turned(self, pixels: RgbPixels, degrees: float, min_confidence: float, plan: Plan) -> Boxes:
        image = turned(pixels, degrees)
        found, _ = self._upright_boxes(pyramid(image, plan.reduction), min_confidence, plan)
        return turned_back(found, degrees, image, pixels)
