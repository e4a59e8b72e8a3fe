"""The detector of codes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.finding.codes.gradients import to_brightness
from services.blur_worker.engine.finding.codes.patches import Patches
from services.blur_worker.engine.finding.codes.quadrilateral import Code, read_codes, without_repetitions
from services.blur_worker.engine.finding.codes.turned_reading import read_turned
from services.blur_worker.engine.finding.codes.whole_bars import whole_bars, whole_rows
from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_TILE = 1024
"""Side of what is enlarged at a time, in pixels; bounds the memory."""
_OVERLAP = 256
"""Overlap of neighbouring tiles, in pixels: larger codes are found without enlarging."""
_MOST_PATCHES = 24
"""Most patches that are turned and read, the largest ones; bounds the time for patterns such as fences."""
_MOST_TURNED = 1.0
"""What is turned and read altogether, as a fraction of the image."""


class CodeDetector:
    """Finds codes of all symbologies that zxing-cpp reads."""

    min_confidence = 0.5
    padding = 0.05

    def __init__(self, model: FindModel) -> None:
        self._model = model

    @property
    def model(self) -> FindModel:
        """Which model it is."""
        return self._model

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return the codes in the image, the box of each around all of its bars or cells.

        The confidence is 1 if a code could be read, 0.6 if it is damaged, blurred or too small to be read, and 0.3 if
        it may be something else. `Effort.FAST` leaves out most codes that are small or slanted.
        """
        least = self.min_confidence if find.min_confidence is None else find.min_confidence
        height, width = pixels.shape[:2]
        brightness = np.empty((height, width), np.uint8)
        to_brightness(pixels, brightness)
        patches = Patches(brightness)
        codes = [_whole(brightness, patches, code) for code in read_codes(brightness)]
        if effort is not Effort.FAST:
            codes += [_whole(brightness, patches, code) for code in _read_enlarged(brightness, patches)]
            codes += [_whole(brightness, patches, code) for code in _read_slanted(brightness, patches, codes)]
        return [_detection(code, width, height) for code in without_repetitions(codes) if code.confidence >= least]


def _read_enlarged(brightness: NDArray[np.uint8], patches: Patches) -> Iterator[Code]:
    """Yield the codes of the image enlarged twice where it may have some: zxing-cpp needs about 3 pixels for a cell."""
    height, width = brightness.shape
    for top in range(0, max(height - _OVERLAP, 1), _TILE - _OVERLAP):
        for left in range(0, max(width - _OVERLAP, 1), _TILE - _OVERLAP):
            box = patches.bounds((left, top, min(left + _TILE, width), min(top + _TILE, height)))
            if box is None:
                continue
            x0, y0, x1, y1 = box
            part = Image.fromarray(np.ascontiguousarray(brightness[y0:y1, x0:x1]))
            enlarged = part.resize((part.width * 2, part.height * 2), Image.Resampling.BILINEAR)
            for code in read_codes(np.asarray(enlarged)):
                yield code.moved(code.corners / 2 + (x0, y0))


def _read_slanted(brightness: NDArray[np.uint8], patches: Patches, known: list[Code]) -> Iterator[Code]:
    """Yield the codes that are slanted, each looked at along its own direction: zxing-cpp follows rows and columns."""
    left = brightness.size * _MOST_TURNED + 400_000
    for patch in sorted(patches.slanted(), key=lambda one: -one.n_cells)[:_MOST_PATCHES]:
        if any(code.contains(patch.centre) and code.is_read for code in known):
            continue
        radius = 1.2 * patch.radius + 24
        left -= 4 * radius * radius
        if left < 0:
            return
        yield from read_turned(brightness, patch.centre, radius, patch.angle)


def _whole(brightness: NDArray[np.uint8], patches: Patches, code: Code) -> Code:
    if code.is_linear:
        return whole_bars(brightness, code)
    return whole_rows(brightness, patches, code) if code.is_stacked else code


def _detection(code: Code, width: int, height: int) -> Detection:
    left, top, right, bottom = code.box()
    return Detection(
        left=max(left - 1, 0.0),
        top=max(top - 1, 0.0),
        right=min(right + 1, float(width)),
        bottom=min(bottom + 1, float(height)),
        confidence=code.confidence,
        label=code.label,
    )
