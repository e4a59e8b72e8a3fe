"""Polygons and strokes of brushes as masks (compiled).

A stroke is a row of capsules: of each of its segments all points that are no farther than a radius from it. So is the
edge of a polygon that is padded. A capsule is convex: of each row of pixels it touches one interval.
"""

import math

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

Segments = NDArray[np.float64]
"""Shape (count, 5): x and y of both ends and the radius, in pixels."""
Mask = NDArray[np.uint8]
"""Shape (height, width): the share of the effect that each pixel gets, from 0 (none) to 255 (all)."""
SLACK = 1e-3
"""px; an outline meant to end at a pixel's border must not include the next pixel by a rounding error."""


@compiled()
def _half_width(y: float, radius: float, top: float, bottom: float) -> float:
    """Return how far a disc around y extends to either side, in the rows from top to bottom."""
    distance = max(top - y, y - bottom, 0.0)
    return math.sqrt(max(radius * radius - distance * distance, 0.0))


@compiled()
def _interval(segment: NDArray[np.float64], top: float, bottom: float) -> tuple[float, float]:
    """Return the smallest and the largest x of a capsule between two y; an empty interval if there is none."""
    x, y, radius = segment[0], segment[1], segment[4]
    across, down = segment[2] - x, segment[3] - y
    # The discs that reach these rows: those around the points from `begin` to `end` of the segment.
    begin, end = 0.0, 1.0
    if abs(down) > 1e-9:
        one, other = (top - radius - y) / down, (bottom + radius - y) / down
        begin, end = max(min(one, other), 0.0), min(max(one, other), 1.0)
    elif y < top - radius or y > bottom + radius:
        end = -1.0
    if begin > end:
        return 0.0, -1.0
    # How far they extend is a concave function, whose maximum is at one of these points.
    tangent = radius * abs(across) / max(math.hypot(across, down), 1e-9)
    left, right = math.inf, -math.inf
    for index in range(6):
        at = begin if index == 0 else end
        if index > 1 and abs(down) > 1e-9:
            level = (top, bottom, top - tangent, bottom + tangent)[index - 2]
            at = min(max((level - y) / down, begin), end)
        center, half = x + at * across, _half_width(y + at * down, radius, top, bottom)
        left, right = min(left, center - half), max(right, center + half)
    return left, right


@compiled("void(f8[:, ::1], b1, i8, i8, u1[:, ::1])")
def fill_outline(segments: Segments, closed: bool, left: int, top: int, mask: Mask) -> None:
    """Set all pixels to 255 that capsules touch, however little, and those inside of a polygon.

    Args:
        segments: In pixels of the image.
        closed: Whether they are the edges of a polygon, in their order; inside is by the nonzero rule.
        left: Position of the mask in the image, as `top`.
        top: See `left`.
        mask: Zeros, where no bits are set.
    """
    rows, columns = mask.shape
    begins, winding = np.zeros(columns + 1, np.int32), np.zeros(columns + 1, np.int32)
    for row in range(rows):
        begins[:] = 0
        winding[:] = 0
        upper, lower = top + row + SLACK, top + row + 1 - SLACK
        middle = top + row + 0.5
        for index in range(len(segments)):
            segment = segments[index]
            y0, y1, radius = segment[1], segment[3], segment[4]
            if min(y0, y1) - radius > lower or max(y0, y1) + radius < upper:
                continue
            first, last = _interval(segment, upper, lower)
            # The pixels that begin before its end, and end after its beginning.
            begin = min(max(math.floor(first - left + SLACK), 0), columns)
            end = min(max(math.ceil(last - left - SLACK), 0), columns)
            if begin < end:
                begins[begin] += 1
                begins[end] -= 1
            if closed and (y0 <= middle) != (y1 <= middle):
                crossing = segment[0] + (middle - y0) * (segment[2] - segment[0]) / (y1 - y0)
                # To the right of it: the pixels whose centre is.
                at = min(max(math.ceil(crossing - left - 0.5), 0), columns)
                winding[at] += 1 if y0 < y1 else -1
        inside, around = 0, 0
        for column in range(columns):
            inside += begins[column]
            around += winding[column]
            if inside or around:
                mask[row, column] = 255
