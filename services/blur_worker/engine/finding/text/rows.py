"""Lines that continue each other: what has wide gaps is found in several parts."""

import math

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.text.lines import Line

_MAX_GAP = 1.5
"""Greatest gap between two parts, in thicknesses."""
_MAX_OFFSET = 0.4
"""Greatest offset between their axes, in thicknesses."""
_MAX_RATIO = 1.6
"""Greatest ratio of the thicknesses of two parts."""
_MIN_COSINE = math.cos(math.radians(8))


def rows(lines: list[Line]) -> list[list[int]]:
    """Return the indices of the lines in rows, each in the direction of reading.

    Args:
        lines: In the direction that they were read.
    """
    values = np.array([(one.x, one.y, one.ux, one.uy, one.length, one.thickness) for one in lines]).reshape(-1, 6)
    following = {i: after for i in range(len(lines)) if (after := _next(values, i)) is not None}
    preceded = set(following.values())
    found: list[list[int]] = []
    for start in range(len(lines)):
        if start in preceded:
            continue
        row = [start]
        while row[-1] in following and following[row[-1]] not in row:
            row.append(following[row[-1]])
        found.append(row)
    return found


def _next(lines: NDArray[np.float64], i: int) -> int | None:
    """Return the nearest line that continues a line, None if there is none."""
    x, y, ux, uy, length, thickness = lines.T
    dx, dy = x - x[i], y - y[i]
    along, offset = dx * ux[i] + dy * uy[i], np.abs(dy * ux[i] - dx * uy[i])
    gap = along - (length + length[i]) / 2
    thin, thick = np.minimum(thickness, thickness[i]), np.maximum(thickness, thickness[i])
    continues = (
        (ux * ux[i] + uy * uy[i] >= _MIN_COSINE)
        & (along > 0)
        & (thick <= _MAX_RATIO * thin)
        & (offset <= _MAX_OFFSET * thin)
        & (gap > -thin)
        & (gap <= _MAX_GAP * thickness[i])
    )
    candidates = np.flatnonzero(continues)
    return int(candidates[gap[candidates].argmin()]) if len(candidates) else None
