"""Detectors for tests that need to find something without a model."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from skimage.measure import label, regionprops

from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find, FindingKind

MARK, OTHER_MARK = (0, 230, 40), (240, 0, 200)
"""The colours of what the detector finds, which no photograph of the tests has; their mean is grey."""
_SIDE = 4


def draw_mark(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Draw what the detector finds: stripes in both colours, joined at the left, in an image of any mode."""
    left, top, right, bottom = box
    mark = Image.new("RGB", (right - left, bottom - top), MARK)
    for y in range(_SIDE, bottom - top, 2 * _SIDE):
        mark.paste(OTHER_MARK, (_SIDE, y, right - left, y + _SIDE))
    image.paste(mark.convert(image.mode), box)


class MarkDetector:
    """Finds every mark; what has fewer than `least_pixels` pixels of its first colour counts as hidden."""

    def __init__(self, least_pixels: int = 24, tolerance: int = 70) -> None:
        self.model = FindModel(kind=FindingKind.FACE, name="marks", version="1", license="MIT")
        self.min_confidence = 0.5
        self.padding = 0.25
        self.calls = 0
        self._least_pixels = least_pixels
        self._tolerance = tolerance

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return a detection for each patch; the larger, the more confident."""
        del effort
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.flags.c_contiguous
        self.calls += 1
        near = (np.abs(pixels.astype(int) - MARK) <= self._tolerance).all(axis=2)
        found = []
        for patch in regionprops(label(near), near):  # type: ignore[no-untyped-call]
            pixels_seen = int(patch.image_intensity.sum())
            if pixels_seen >= self._least_pixels:
                top, left, bottom, right = patch.bbox
                confidence = 1 - 1 / pixels_seen
                if confidence >= (self.min_confidence if find.min_confidence is None else find.min_confidence):
                    found.append(
                        Detection(left=left, top=top, right=right, bottom=bottom, confidence=float(confidence))
                    )
        return found


class ScriptedDetector(MarkDetector):
    """Finds what a function says, given the pixels and the number of the call, from 1."""

    def __init__(self, script: Callable[[RgbPixels, int], list[Detection]]) -> None:
        super().__init__()
        self._script = script

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return what the script says."""
        del find, effort
        self.calls += 1
        return self._script(pixels, self.calls)


class OneDetector:
    """A source of detectors that has the same one for everything."""

    def __init__(self, detector: MarkDetector | None = None) -> None:
        self.detector = detector or MarkDetector()

    def load(self, find: Find) -> MarkDetector:
        """Return the detector."""
        del find
        return self.detector
