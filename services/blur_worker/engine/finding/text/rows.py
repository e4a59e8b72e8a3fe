"""Lines that continue each other: what has wide gaps is found in several parts."""

import math

from services.blur_worker.engine.finding.text.lines import Line

_MAX_GAP = 1.5
"""Between two parts, in thicknesses."""
_MAX_OFFSET = 0.4
"""Between their axes, in thicknesses."""
_MAX_RATIO = 1.6
"""Of their thicknesses."""
_MIN_COSINE = math.cos(math.radians(8))


def rows(lines: list[Line]) -> list[list[int]]:
    """Return the indices of the lines in rows, each in the direction of reading.

    Args:
        lines: In the direction that they were read.
    """
    following = {i: after for i, line in enumerate(lines) if (after := _next(lines, i, line)) is not None}
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


def _next(lines: list[Line], i: int, line: Line) -> int | None:
    """Return the nearest line that continues a line, None if there is none."""
    best, nearest = None, _MAX_GAP * line.thickness
    for j, other in enumerate(lines):
        if j == i or line.ux * other.ux + line.uy * other.uy < _MIN_COSINE:
            continue
        thin, thick = sorted((line.thickness, other.thickness))
        dx, dy = other.x - line.x, other.y - line.y
        offset = abs(dy * line.ux - dx * line.uy)
        along = dx * line.ux + dy * line.uy
        gap = along - (line.length + other.length) / 2
        if along > 0 and thick <= _MAX_RATIO * thin and offset <= _MAX_OFFSET * thin and -thin < gap <= nearest:
            best, nearest = j, gap
    return best
