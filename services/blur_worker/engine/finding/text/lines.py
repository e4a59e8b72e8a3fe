"""Lines of text as oriented rectangles, and the upright boxes that cover them."""

import math
from dataclasses import dataclass, replace

import numpy as np

from services.blur_worker.engine.finding.text.line_shapes import COLUMNS, smallest_rectangles
from services.blur_worker.engine.finding.text.probability_map import Map

_THRESHOLD = 76
"""Threshold of a pixel's probability of being text, times 255: 0.3, as the model was trained."""
_MIN_PIXELS = 12
_MOST_LINES = 20_000
_UNCLIP = 1.2
"""The model marks shrunken lines; this undoes it: distance = area × 1.2 / perimeter (arXiv:1911.08947).

The authors take 1.5 and more; on planted text, 1.1 covers as much as 1.6 and half as much beside the text.
"""
_MOST_PIECES = 8
_UPRIGHT = 1e-3


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of text, possibly turned; in pixels of the image."""

    x: float
    """Horizontal position of the centre, in pixels; `y` is the vertical one."""
    y: float
    ux: float
    """Unit vector along the line, in the direction of reading if that is known."""
    uy: float
    length: float
    thickness: float
    confidence: float
    """0 to 1."""

    def part(self, start: float, end: float) -> "Line":
        """Return a part of the line, from and to fractions of its length."""
        middle = ((start + end) / 2 - 0.5) * self.length
        x, y = self.x + middle * self.ux, self.y + middle * self.uy
        return replace(self, x=x, y=y, length=(end - start) * self.length)

    def grown(self, margin: float) -> "Line":
        """Return the line with a margin on every side, in pixels."""
        return replace(self, length=self.length + 2 * margin, thickness=self.thickness + 2 * margin)

    def reversed(self) -> "Line":
        """Return the same rectangle, read the other way."""
        return replace(self, ux=-self.ux, uy=-self.uy)

    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the upright box around it."""
        half_width = (abs(self.ux) * self.length + abs(self.uy) * self.thickness) / 2
        half_height = (abs(self.uy) * self.length + abs(self.ux) * self.thickness) / 2
        return self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height

    def pieces(self) -> "list[Line]":
        """Return the line, cut where it is so long and slanted that its box would cover its neighbours.

        The box of a piece is about twice as high as the line.
        """
        slant = min(abs(self.ux), abs(self.uy)) / max(abs(self.ux), abs(self.uy))
        if slant < _UPRIGHT:
            return [self]
        n = min(math.ceil(self.length * slant / (1.5 * self.thickness)), _MOST_PIECES)
        return [self.part(i / n, (i + 1) / n) for i in range(n)]


def lines_in(map_: Map, scale: float, min_confidence: float) -> list[Line]:
    """Return the lines that a map of probabilities shows.

    Args:
        map_: Probabilities times 255.
        scale: Pixels of the map per pixel of the image.
        min_confidence: Of a line: the mean probability of its pixels.
    """
    found = np.empty((_MOST_LINES, COLUMNS))
    n = smallest_rectangles(map_, _THRESHOLD, _MIN_PIXELS, found)
    return [_line(row.tolist(), scale) for row in found[:n] if row[6] >= min_confidence]


def _line(row: list[float], scale: float) -> Line:
    x, y, ux, uy, length, thickness, confidence = row
    grown = length * thickness * _UNCLIP / (length + thickness)  # on both sides together
    if ux < 0 or (ux == 0 and uy < 0):
        ux, uy = -ux, -uy
    return Line(
        x=x / scale,
        y=y / scale,
        ux=ux,
        uy=uy,
        length=(length + grown) / scale,
        thickness=(thickness + grown) / scale,
        confidence=confidence,
    )
