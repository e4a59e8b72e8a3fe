"""The face detector: a cheap look for all that may be a face, and a second one that decides."""

from dataclasses import dataclass

import numpy as np

from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes
from services.blur_worker.engine.finding.faces.first_look import candidates
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.pyramid import Level, pyramid
from services.blur_worker.engine.finding.faces.second_look import CAREFUL, QUICK, examine
from services.blur_worker.engine.finding.faces.suppression import not_within, without_duplicates
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_CERTAIN = 0.6
"""From this confidence the first look is enough."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What an effort stands for."""

    reduction: int
    """The first look is at 1 / this of the image, at half of that, and so on."""
    upright_from: float
    """Confidence of the first look from which a second one is worth while."""
    turned_from: float = 1.0
    """Likewise for turned faces, which the first look hardly sees."""
    turns: tuple[float, ...] = ()
    """In degrees, clockwise."""
    looks_per_megapixel: int
    """At most so many second looks of either kind, and some more: bounds the time for a picture full of doubts."""


_PLANS = {
    Effort.FAST: _Plan(reduction=3, upright_from=0.1, looks_per_megapixel=50),
    Effort.BALANCED: _Plan(
        reduction=2, upright_from=0.05, turned_from=0.02, turns=(-90, -45, 45, 90), looks_per_megapixel=100
    ),
    Effort.THOROUGH: _Plan(
        reduction=1,
        upright_from=0.03,
        turned_from=0.02,
        turns=(-135, -90, -45, 45, 90, 135, 180),
        looks_per_megapixel=300,
    ),
}
_SOME_LOOKS = 50
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
        boxes = self._boxes(pixels, max(min_confidence, 0.05), _PLANS[effort])
        boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, width)
        boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, height)
        return [
            Detection(left=left, top=top, right=right, bottom=bottom, confidence=min(confidence, 1.0))
            for left, top, right, bottom, confidence in boxes.tolist()
            if left < right and top < bottom
        ]

    def _boxes(self, pixels: RgbPixels, min_confidence: float, plan: _Plan) -> Boxes:
        levels = pyramid(pixels, plan.reduction)
        lowest = min(plan.upright_from, plan.turned_from, min_confidence)
        seen = [NO_BOXES]
        seen += [candidates(self._network, level, lowest) for level in levels if level.reduction >= plan.reduction]
        unsure = without_duplicates(np.concatenate(seen))
        looks = _SOME_LOOKS + round(plan.looks_per_megapixel * pixels.shape[0] * pixels.shape[1] / 1e6)

        certain = unsure[:, 4] >= max(_CERTAIN, min_confidence)
        found, unsure = unsure[certain], not_within(unsure[~certain], unsure[certain])
        upright = unsure[unsure[:, 4] >= min(plan.upright_from, min_confidence)][:looks]
        upright = examine(self._network, levels, upright, CAREFUL, 0)
        found = without_duplicates(np.concatenate((found, upright[upright[:, 4] >= min_confidence])))
        if plan.turns:
            turned = self._turned(levels, not_within(unsure, found)[:looks], plan.turns)
            found = without_duplicates(np.concatenate((found, turned[turned[:, 4] >= min_confidence])))
        return found

    def _turned(self, levels: list[Level], boxes: Boxes, turns: tuple[float, ...]) -> Boxes:
        if not len(boxes):
            return boxes
        views = np.stack([examine(self._network, levels, boxes, QUICK, turn) for turn in turns])
        best = views[:, :, 4].argmax(axis=0)
        worthy = views[:, :, 4].max(axis=0) >= _QUICK_FROM
        return examine(self._network, levels, boxes[worthy], CAREFUL, np.array(turns)[best[worthy]])
