"""The face detector: the network on tiles of the image and of its reductions."""

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes, boxes_of
from services.blur_worker.engine.finding.faces.network import Network
from services.blur_worker.engine.finding.faces.suppression import without_duplicates
from services.blur_worker.engine.finding.faces.tiling import cut, tiles
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_TILE = 448
_MARGIN = 48
_LARGEST_REDUCTION = {Effort.FAST: 3, Effort.BALANCED: 1, Effort.THOROUGH: 1}
"""The image is looked at at 1 / this of its size, and at half of that, until it fits a tile."""


class FaceDetector:
    """Finds faces of 16 pixels or more."""

    min_confidence = 0.3
    padding = 0.2

    def __init__(self, model: FindModel, weights: bytes) -> None:
        """Load the network."""
        self.model = model
        self._network = Network(weights)

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return the faces of an image; see `Detector`."""
        min_confidence = self.min_confidence if find.min_confidence is None else find.min_confidence
        height, width = pixels.shape[:2]
        found = [NO_BOXES]
        image = Image.fromarray(pixels)
        reduction = _LARGEST_REDUCTION[effort]
        while True:
            level = image.reduce(reduction) if reduction > 1 else image
            boxes = self._level(np.asarray(level), max(min_confidence, 0.01))
            boxes[:, :4] *= reduction
            found.append(boxes)
            if max(level.size) <= _TILE:
                break
            reduction *= 2
        boxes = without_duplicates(np.concatenate(found))
        boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, width)
        boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, height)
        return [
            Detection(left=left, top=top, right=right, bottom=bottom, confidence=min(confidence, 1.0))
            for left, top, right, bottom, confidence in boxes.tolist()
            if left < right and top < bottom
        ]

    def _level(self, pixels: RgbPixels, min_confidence: float) -> Boxes:
        found = [NO_BOXES]
        height, width = pixels.shape[:2]
        for rows, columns in tiles(height, width, _TILE, _MARGIN):
            boxes = boxes_of(self._network.run(cut(pixels, rows, columns, _TILE)), min_confidence)
            boxes[:, [0, 2]] += columns.start
            boxes[:, [1, 3]] += rows.start
            x, y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
            inside = (columns.core_start <= x) & (x < columns.core_stop)
            inside &= (rows.core_start <= y) & (y < rows.core_stop)
            found.append(boxes[inside])
        return np.concatenate(found)
