"""From a line across the bars of a code to the whole bars."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.codes.gradients import CELL
from services.blur_worker.engine.finding.codes.patches import Patches
from services.blur_worker.engine.finding.codes.quadrilateral import Code
from services.blur_worker.engine.finding.codes.turned_reading import read_turned

_SAMPLES = 384
"""Number of samples along the line."""
_MIN_LIKENESS = 0.5
"""Correlation of a line of samples with the first one, to be of the same bars."""
_MOST_GAPS = 4
"""Lines without likeness that are skipped: scratches, glare."""
_MOST_HEIGHT = 2.0
"""Greatest height of bars, in widths of the code."""
_PRINTED_BELOW = 0.16
"""What the bars are extended by at both ends, in parts of their length: the number is printed there."""

_MOST_LARGER = 6.0
"""A patch that is larger than what was read of a stacked code by more has more than the code in it."""

_Points = NDArray[np.float64]


def whole_bars(brightness: NDArray[np.uint8], code: Code) -> Code:
    """Return a linear code with its corners at the ends of its bars.

    zxing-cpp gives the lines on which it has read the code: of a slanted one they cover a part of the bars.
    """
    corners = code.corners
    start, end = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
    width = float(np.hypot(*(end - start)))
    if width < 8:
        return code
    across = _across_bars(brightness, start, end)
    # The ends of the line lie on the first and the last bar; seen along the bars, that is where the code ends.
    middle = (start + end) / 2
    offsets = (corners - middle) @ across
    start, end = middle + offsets.min() * across, middle + offsets.max() * across
    along = np.array([-across[1], across[0]])
    line = start + np.linspace(0, 1, min(_SAMPLES, int(width) + 1))[:, np.newaxis] * (end - start)
    step = max(1.0, width / 300)
    ends = []
    for direction in (-along, along):
        reach, shift = _reach(brightness, line, direction * step, across, int(_MOST_HEIGHT * width / step))
        ends.append((direction * step * reach, across * shift))
    height = float(np.hypot(*(ends[1][0] - ends[0][0])))
    printed = along * (_PRINTED_BELOW * height)
    (up, up_shift), (down, down_shift) = ends
    return code.moved(
        np.array([
            start + up + up_shift - printed,
            end + up + up_shift - printed,
            end + down + down_shift + printed,
            start + down + down_shift + printed,
        ])
    )  # fmt: skip


def whole_rows(brightness: NDArray[np.uint8], patches: Patches, code: Code) -> Code:
    """Return a stacked code with all of its rows: of a slanted one zxing-cpp sees a part of them."""
    patch = patches.around(code.corners)
    if patch is None or patch.area > _MOST_LARGER * max(code.area(), 1.0):
        return _read_along(brightness, code)
    read = read_turned(brightness, patch.centre, 1.2 * patch.radius + CELL, patch.angle)
    best = max([code, *(one for one in read if one.label == code.label)], key=lambda one: (one.confidence, one.area()))
    # The rows that it has missed are in the patch, which is larger by up to a cell.
    return best.moved(np.concatenate([best.corners, patch.corners]))


def _read_along(brightness: NDArray[np.uint8], code: Code) -> Code:
    """Return the larger of a stacked code and what is read when the image is turned to its direction."""
    corners = code.corners
    across = _across_bars(brightness, (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2)
    x, y = corners.mean(axis=0)
    radius = 0.8 * float(np.ptp(corners, axis=0).max())
    read = read_turned(brightness, (float(x), float(y)), radius, float(np.arctan2(across[1], across[0])))
    return max([code, *(one for one in read if one.label == code.label)], key=lambda one: one.area())


def _across_bars(brightness: NDArray[np.uint8], start: _Points, end: _Points) -> _Points:
    """Return the unit vector across the bars: the main direction of the gradient around a line."""
    quarter = np.abs(end - start) / 4 + 3
    height, width = brightness.shape
    left, top = np.maximum((start + end) / 2 - quarter, 0).astype(int)
    right, bottom = np.minimum((start + end) / 2 + quarter, (width, height)).astype(int)
    part = brightness[top : bottom + 1, left : right + 1].astype(np.float32)
    fallback = (end - start) / np.hypot(*(end - start))
    if min(part.shape) < 3:
        return np.asarray(fallback)
    gy, gx = part[2:, 1:-1] - part[:-2, 1:-1], part[1:-1, 2:] - part[1:-1, :-2]
    angle = 0.5 * np.arctan2(2 * (gx * gy).sum(dtype=np.float64), (gx * gx - gy * gy).sum(dtype=np.float64))
    across = np.array([np.cos(angle), np.sin(angle)])
    across *= np.sign(across @ fallback) or 1.0
    return across if across @ fallback > 0.5 else np.asarray(fallback)


def _reach(
    brightness: NDArray[np.uint8], line: _Points, step: _Points, across: _Points, most: int
) -> tuple[int, float]:
    """Return how many steps a line can be moved and stays on the same bars, and by how much it drifted across them."""
    reference = _normalised(_samples(brightness, line))
    reached, shift, shift_reached, gaps = 0, 0.0, 0.0, 0
    for i in range(1, most + 1):
        likeness, change = max(
            (float(reference @ _normalised(_samples(brightness, line + i * step + (shift + c) * across))), c)
            for c in (0.0, -0.5, 0.5)
        )
        if likeness < _MIN_LIKENESS:
            gaps += 1
            if gaps > _MOST_GAPS:
                break
            continue
        shift += change
        reached, shift_reached, gaps = i, shift, 0
    return reached, shift_reached


def _samples(brightness: NDArray[np.uint8], line: _Points) -> NDArray[np.float32]:
    height, width = brightness.shape
    x = np.clip(line[:, 0].astype(np.int64), 0, width - 1)
    y = np.clip(line[:, 1].astype(np.int64), 0, height - 1)
    return brightness[y, x].astype(np.float32)


def _normalised(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples with a mean of 0 and a norm of 1; flat ones are like nothing."""
    centred = samples - samples.mean()
    norm = float(np.sqrt(centred @ centred))
    return centred / np.float32(norm) if norm > 4 * np.sqrt(len(samples)) else np.zeros_like(centred)
