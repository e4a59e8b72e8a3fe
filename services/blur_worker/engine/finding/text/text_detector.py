"""The detector of text."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.onnx_session import OnnxSession
from services.blur_worker.engine.finding.text.classified import classified
from services.blur_worker.engine.finding.text.files import DETECTION, RECOGNITION
from services.blur_worker.engine.finding.text.lines import Line, lines_in
from services.blur_worker.engine.finding.text.probability_map import probability_map
from services.blur_worker.engine.finding.text.recognition import Reader
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find, TextClass

_SCALES = {Effort.FAST: 0.5, Effort.BALANCED: 0.75, Effort.THOROUGH: 1.5}
"""Scale of the image at which lines are searched; text of 14 pixels needs 0.7."""
_MOST_ENLARGED = 20_000_000
"""Pixels of an enlarged image; larger images are enlarged less or not at all."""
_COARSE_SIDE = 640
"""Longer side of the image when letters are searched that are too large for the model at the other scale."""
_LARGE = 20
"""Thickness of their lines at that scale, in pixels; what is smaller is found at the other."""
_MIN_ASPECT = 1.3
"""Length by thickness of a line that can hold what belongs to a class."""


class TextDetector:
    """Finds lines of text, and within them what belongs to a class."""

    min_confidence = 0.5
    padding = 0.05

    def __init__(self, model: FindModel) -> None:
        """Load the detection model; the one that reads is loaded when a class is first asked for.

        Raises:
            ConfigurationError: Its file has been changed.
        """
        self._model = model
        self._detection = OnnxSession(DETECTION.path, sha256=DETECTION.sha256, keep_memory=True)
        self._reader: Reader | None = None

    @property
    def model(self) -> FindModel:
        """Which model it is."""
        return self._model

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return the lines of text, or what belongs to the classes that `find` names.

        Boxes cover whole lines, or the part of a line that belongs to a class. A slanted line has several boxes.
        """
        least = self.min_confidence if find.min_confidence is None else find.min_confidence
        wanted = set(find.text_classes) or {TextClass.ALL}
        all_text = TextClass.ALL in wanted
        # What belongs to a class is judged by its reading.
        lines = self._lines(pixels, effort, least if all_text else min(least, self.min_confidence))
        if all_text:
            return [detection for line in lines for detection in _detections(pixels, line, "")]
        if self._reader is None:
            self._reader = Reader(OnnxSession(RECOGNITION.path, sha256=RECOGNITION.sha256, keep_memory=True))
        readings = [
            self._reader.read(pixels, line, upside_down=effort is Effort.THOROUGH)
            for line in lines
            if line.length >= _MIN_ASPECT * line.thickness
        ]
        return [
            detection
            for text_class, line in classified(readings, wanted)
            if line.confidence >= least
            for detection in _detections(pixels, line, text_class)
        ]

    def _lines(self, pixels: RgbPixels, effort: Effort, least: float) -> list[Line]:
        height, width = pixels.shape[:2]
        scale = _SCALES[effort]
        if effort is Effort.THOROUGH:
            scale = max(min(scale, (_MOST_ENLARGED / (width * height)) ** 0.5), 1.0)
        lines = self._lines_at(pixels, scale, least)
        coarse = _COARSE_SIDE / max(width, height)
        if coarse < scale / 2:
            large = [one for one in self._lines_at(pixels, coarse, least) if one.thickness * coarse >= _LARGE]
            lines += [one for one in large if not any(_is_same(one, other) for other in lines)]
        return lines

    def _lines_at(self, pixels: RgbPixels, scale: float, least: float) -> list[Line]:
        height, width = pixels.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        scaled = pixels
        if size != (width, height):
            image = Image.fromarray(pixels)
            scaled = np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3))
        return lines_in(probability_map(self._detection, scaled), scale, least)


def _is_same(large: Line, other: Line) -> bool:
    """Return whether a line was found at both scales: whole, and not in fragments."""
    if other.thickness < 0.6 * large.thickness or other.length < 0.8 * large.length:
        return False
    left, top, right, bottom = other.box()
    return left <= large.x <= right and top <= large.y <= bottom


def _detections(pixels: RgbPixels, line: Line, label: str) -> Iterator[Detection]:
    height, width = pixels.shape[:2]
    for piece in line.pieces():
        left, top, right, bottom = piece.box()
        left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        if left < right and top < bottom:
            yield Detection(
                left=left, top=top, right=right, bottom=bottom, confidence=min(line.confidence, 1.0), label=label
            )
