"""Patches of an image whose edges have two directions at right angles, as those of codes do."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.codes.gradients import CELL, gradient_cells
from services.blur_worker.engine.raster import Box

_MIN_ENERGY = 60.0
"""Mean square of the gradient of a cell, in steps of brightness per pixel."""
_MIN_COHERENCE = 0.45
"""How far the edges of a cell have these directions, 0 to 1."""
_MAX_DIFFERENCE = math.radians(12)
"""Between the directions of neighbouring cells of one patch."""
_MIN_SLANT = math.radians(4)
"""Against rows and columns: zxing-cpp reads what is slanted less."""
_MIN_CELLS = 6
_MIN_CELLS_OF_CODE = 2
"""Number of cells of the smallest code that can be read."""
_MARGIN = 3
"""Margin around the cells of codes, in cells."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Connected cells of one direction."""

    angle: float
    """Direction of the edges, in radians, -π/4 to π/4."""
    corners: NDArray[np.float64]
    """Shape (4, 2): of the smallest rectangle at this angle around the cells, x and y in pixels."""
    n_cells: int

    @property
    def centre(self) -> tuple[float, float]:
        """X and y in pixels."""
        x, y = self.corners.mean(axis=0)
        return float(x), float(y)

    @property
    def radius(self) -> float:
        """Half of the longer side, in pixels."""
        return (
            float(max(np.hypot(*(self.corners[1] - self.corners[0])), np.hypot(*(self.corners[2] - self.corners[1]))))
            / 2
        )

    @property
    def area(self) -> float:
        """Area of the rectangle, in square pixels."""
        return float(np.hypot(*(self.corners[1] - self.corners[0])) * np.hypot(*(self.corners[2] - self.corners[1])))


class Patches:
    """The patches of an image."""

    def __init__(self, brightness: NDArray[np.uint8]) -> None:
        height, width = brightness.shape
        self._cells = np.zeros((max(height // CELL, 1), max(width // CELL, 1), 3), np.float32)
        gradient_cells(brightness, self._cells)
        energy, cosine, sine = np.moveaxis(self._cells, 2, 0)
        coherent = np.hypot(cosine, sine) >= _MIN_COHERENCE * energy
        self._candidates = (energy >= _MIN_ENERGY) & coherent
        self._angles = np.arctan2(sine, cosine) / 4

    def bounds(self, box: Box) -> Box | None:
        """Return where in a box (left, top, right, bottom) cells of patches are, and a margin; None without any."""
        left, top, right, bottom = box
        part = self._candidates[top // CELL : -(-bottom // CELL), left // CELL : -(-right // CELL)]
        if part.sum() < _MIN_CELLS_OF_CODE:
            return None
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        return (
            max(left + (int(columns[0]) - _MARGIN) * CELL, left),
            max(top + (int(rows[0]) - _MARGIN) * CELL, top),
            min(left + (int(columns[-1]) + 1 + _MARGIN) * CELL, right),
            min(top + (int(rows[-1]) + 1 + _MARGIN) * CELL, bottom),
        )

    def slanted(self) -> Iterator[Patch]:
        """Yield the patches that are slanted."""
        left = _indices(self._candidates & (np.abs(self._angles) >= _MIN_SLANT))
        while left:
            cells = self._connected(left, [left.pop()])
            if len(cells) >= _MIN_CELLS and min(np.ptp(np.array(cells), axis=0)) >= 1:
                yield self._patch(cells)

    def around(self, corners: NDArray[np.float64]) -> Patch | None:
        """Return the patch that the inner part of a quadrilateral (shape (4, 2), in pixels) belongs to."""
        middle = corners.mean(axis=0)
        inner = middle + (corners - middle) * 0.5
        left, top = np.floor(inner.min(axis=0) / CELL).astype(int)
        right, bottom = np.floor(inner.max(axis=0) / CELL).astype(int)
        candidates = _indices(self._candidates)
        seeds = [cell for cell in candidates if top <= cell[0] <= bottom and left <= cell[1] <= right]
        return self._patch(self._connected(candidates.difference(seeds), seeds)) if seeds else None

    def _connected(self, left: set[tuple[int, int]], cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Take from `left` all cells that are connected to those given and have about their direction."""
        for row, column in cells:  # grows while it is walked
            for near in [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]:
                if near in left and _difference(self._angles[row, column], self._angles[near]) <= _MAX_DIFFERENCE:
                    left.remove(near)
                    cells.append(near)
        return cells

    def _patch(self, cells: list[tuple[int, int]]) -> Patch:
        rows, columns = np.array(cells).T
        _, cosine, sine = self._cells[rows, columns].sum(axis=0, dtype=np.float64)
        angle = math.atan2(sine, cosine) / 4
        axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        middles = np.stack([columns + 0.5, rows + 0.5], axis=1) * CELL @ axes.T
        (low_u, low_v), (high_u, high_v) = middles.min(axis=0) - CELL / 2, middles.max(axis=0) + CELL / 2
        rectangle = np.array([(low_u, low_v), (high_u, low_v), (high_u, high_v), (low_u, high_v)])
        return Patch(angle=angle, corners=rectangle @ axes, n_cells=len(cells))


def _indices(mask: NDArray[np.bool_]) -> set[tuple[int, int]]:
    rows, columns = np.nonzero(mask)
    cells: Iterable[tuple[int, int]] = zip(rows.tolist(), columns.tolist(), strict=True)
    return set(cells)


def _difference(one: float, other: float) -> float:
    """Return the angle between two directions, right angles left out."""
    difference = abs(one - other) % (math.pi / 2)
    return min(difference, math.pi / 2 - difference)
