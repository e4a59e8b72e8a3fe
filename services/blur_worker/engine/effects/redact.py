"""Redaction: a few soft cells across a region. All that is left of its pixels is the rounded mean of each cell."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.raster import Raster

MAX_CELLS = 6
"""Cells across the longer side of a region."""
LEVELS = 5
"""Values that a channel of a cell can have. Odd: one of them is the grey of chroma."""
_ROWS_PER_CHUNK = 64

_Inside = NDArray[np.bool_]
"""Shape (height, width): which pixels belong to the region."""
_Cells = NDArray[np.float64]
"""Shape (cells down, cells across, channels); with alpha, colours are premultiplied."""


@dataclass(frozen=True)
class Redaction:
    """A `PixelEffect` of a whole image; in a region, `apply_within` reads that region's pixels alone."""

    grid: ClassVar[int] = 1
    margin: ClassVar[int] = 0

    def apply(self, raster: Raster) -> Raster:
        """Redact all of the raster as one region."""
        return self.apply_within(raster, np.ones(raster.samples.shape[:2], np.bool_))

    def apply_within(self, raster: Raster, inside: _Inside) -> Raster:
        """Redact one region; pixels outside of it are neither read nor meaningful in the result.

        Args:
            raster: The smallest box around the region.
            inside: Which of its pixels belong to the region; at least one.
        """
        sums, counts = _sum_cells(raster, inside)
        means = sums / np.maximum(counts, 1)[:, :, np.newaxis]
        return raster.with_samples(_smooth(_round_to_levels(means, raster), counts > 0, raster))


def _sum_cells(raster: Raster, inside: _Inside) -> tuple[_Cells, NDArray[np.int64]]:
    """Return the sum of each cell's samples and its number of pixels inside; with alpha, colours are premultiplied."""
    height, width, channels = raster.samples.shape
    rows, columns = _edges(height, max(height, width)), _edges(width, max(height, width))
    sums = np.zeros((len(rows) - 1, len(columns) - 1, channels))
    counts = np.zeros(sums.shape[:2], np.int64)
    for row in range(len(rows) - 1):
        for top in range(rows[row], rows[row + 1], _ROWS_PER_CHUNK):
            chunk = np.s_[top : min(top + _ROWS_PER_CHUNK, rows[row + 1])]
            within = inside[chunk]
            # Whole numbers, whose sum is the same in any order.
            part = raster.samples[chunk].astype(np.int64) * within[:, :, np.newaxis]
            if raster.has_alpha:
                part[..., :-1] *= part[..., -1:]
            sums[row] += np.add.reduceat(part.sum(axis=0), columns[:-1], axis=0)
            counts[row] += np.add.reduceat(within.sum(axis=0), columns[:-1])
    if raster.has_alpha:
        sums[..., :-1] /= raster.max_value
    return sums, counts


def _edges(side: int, longer_side: int) -> NDArray[np.int64]:
    """Return where cells begin along a side, and where the last one ends."""
    cells = max(1, min(round(side * MAX_CELLS / longer_side), side))
    return np.arange(cells + 1) * side // cells


def _round_to_levels(means: _Cells, raster: Raster) -> _Cells:
    """Round colours and alpha; colours stay premultiplied."""
    step = raster.max_value / (LEVELS - 1)
    if not raster.has_alpha:
        return np.rint(means / step) * step
    alpha = np.rint(means[..., -1:] / step) * step
    colors = means[..., :-1] / np.maximum(means[..., -1:], 1e-9) * raster.max_value
    rounded = np.rint(colors.clip(0, raster.max_value) / step) * step
    return np.concatenate([rounded * (alpha / raster.max_value), alpha], axis=2)


def _smooth(cells: _Cells, present: NDArray[np.bool_], raster: Raster) -> NDArray[np.unsignedinteger]:
    """Return samples that pass softly from cell to cell; a cell without pixels of the region takes no part."""
    height, width, channels = raster.samples.shape
    down, across = (_weights(side, max(height, width)) for side in (height, width))
    weighed = np.concatenate([cells * present[:, :, np.newaxis], present[:, :, np.newaxis]], axis=2)
    # Sums in a fixed order, not matrix products, whose last bit depends on the processor.
    by_row = sum(across[np.newaxis, cell, :, np.newaxis] * weighed[:, cell, np.newaxis] for cell in range(len(across)))
    result = np.empty_like(raster.samples, order="C")
    for top in range(0, height, _ROWS_PER_CHUNK):
        chunk = np.s_[top : top + _ROWS_PER_CHUNK]
        sums = np.zeros((len(result[chunk]), width, channels + 1))
        for cell in np.flatnonzero(down[:, chunk].any(axis=1)):
            sums += down[cell, chunk, np.newaxis, np.newaxis] * by_row[cell]
        values = sums[..., :-1] / np.maximum(sums[..., -1:], 1e-9)
        if raster.has_alpha:
            alpha = np.rint(values[..., -1:])
            values[..., :-1] *= (alpha > 0) * raster.max_value / np.maximum(values[..., -1:], 1e-9)
        result[chunk] = np.rint(values).clip(0, raster.max_value)
    return result


def _weights(side: int, longer_side: int) -> NDArray[np.float64]:
    """Return, for each cell along a side, its share of each pixel's value: quadratic B-splines, shape (cells, side)."""
    cells = len(_edges(side, longer_side)) - 1
    positions = (np.arange(side) + 0.5) * cells / side - 0.5
    distance = np.abs(positions[np.newaxis] - np.arange(cells)[:, np.newaxis])
    outer = np.maximum(1.5 - distance, 0) ** 2 / 2
    weights: NDArray[np.float64] = np.where(distance < 0.5, 0.75 - distance**2, outer)
    weights /= weights.sum(axis=0)
    return weights
