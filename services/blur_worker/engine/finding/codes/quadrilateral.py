"""Codes as quadrilaterals."""

from dataclasses import dataclass, replace

import numpy as np
import zxingcpp
from numpy.typing import NDArray

from services.blur_worker.engine.finding.codes.symbologies import LINEAR, STACKED, label

_READ = 1.0
_DAMAGED = 0.6
_DOUBTFUL = 0.3
"""Confidence of a damaged code that may be something else: what zxing-cpp takes for Data Matrix in textures."""
_MAX_SKEW = 0.2
"""Cosine between neighbouring sides of a damaged code that is not doubtful."""
_MIN_SIDE = 18
"""Shortest side of a damaged code that is not doubtful, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """A code in an image."""

    corners: NDArray[np.float64]
    """Shape (n, 2): x and y in pixels, of top left, top right, bottom right and bottom left, and further ones."""
    label: str
    confidence: float
    is_linear: bool
    """Bars alone, so that a line across them reads it; zxing-cpp gives the place of such lines."""
    is_stacked: bool
    """Rows of bars."""

    def moved(self, corners: NDArray[np.float64]) -> "Code":
        """Return the same code elsewhere."""
        return replace(self, corners=corners)

    @property
    def is_read(self) -> bool:
        """Whether zxing-cpp could read it."""
        return self.confidence >= _READ

    def contains(self, point: tuple[float, float]) -> bool:
        """Return whether its box contains a point, x and y."""
        left, top, right, bottom = self.box()
        return left <= point[0] <= right and top <= point[1] <= bottom

    def area(self) -> float:
        """Return the area of the quadrilateral, in pixels."""
        x, y = self.corners.T
        return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)

    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        (left, top), (right, bottom) = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


def read_codes(brightness: NDArray[np.uint8]) -> list[Code]:
    """Return what zxing-cpp finds in an image, codes that it cannot read included."""
    return [_code(barcode) for barcode in zxingcpp.read_barcodes(brightness, return_errors=True)]


def without_repetitions(codes: list[Code]) -> list[Code]:
    """Return the codes without those that lie mostly within a more certain one."""
    kept: list[Code] = []
    for code in sorted(codes, key=lambda one: (-one.confidence, -_area(one.box()))):
        if not any(_part_within(code.box(), other.box()) > 0.6 for other in kept):
            kept.append(code)
    return kept


def _code(barcode: zxingcpp.Barcode) -> Code:
    position = barcode.position
    points = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    corners = np.array([(point.x + 0.5, point.y + 0.5) for point in points])
    symbology = barcode.symbology.name
    confidence = _READ if barcode.valid else _DAMAGED
    if not barcode.valid and symbology not in LINEAR and not _is_regular(corners):
        confidence = _DOUBTFUL
    return Code(
        corners=corners,
        label=label(barcode.format.name, symbology),
        confidence=confidence,
        is_linear=symbology in LINEAR,
        is_stacked=symbology in STACKED,
    )


def _is_regular(corners: NDArray[np.float64]) -> bool:
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    if lengths.min() < _MIN_SIDE:
        return False
    cosines = (sides * np.roll(sides, -1, axis=0)).sum(axis=1) / (lengths * np.roll(lengths, -1))
    return bool(np.abs(cosines).max() < _MAX_SKEW)


def _area(box: tuple[float, float, float, float]) -> float:
    return max(box[2] - box[0], 1.0) * max(box[3] - box[1], 1.0)


def _part_within(box: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Return which part of a box lies within another."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0) / _area(box)
