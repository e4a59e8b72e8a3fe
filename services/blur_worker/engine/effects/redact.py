"""Redaction: a region becomes a few soft cells in the colours of what is visible around it.

Nothing of the pixels that are hidden is in the result, not even their mean: see ADR 33.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.raster import Box, Raster, Size

MAX_CELLS = 3
"""Cells across the longer side of a region with its surroundings. With 6, detectors see more heads in the fills."""
_SURROUNDINGS = 0.1
"""How far beyond the region its surroundings reach, as a fraction of its longer side."""
_MIN_SURROUNDINGS_PX = 2
_TONES = 0.05
"""The most by which a cell is lighter or darker than its colour, as a fraction of white: hidden regions can be seen."""
_ROWS_PER_CHUNK = 64

Known = NDArray[np.bool_]
"""Shape (height, width): which pixels are visible in the result, and may be read."""
_Cells = NDArray[np.float64]
"""Shape (cells down, cells across, channels); with alpha, colours are premultiplied."""


@dataclass(frozen=True)
class Redaction:
    """A `PixelEffect` of a whole image, of which nothing is visible; regions are filled by `fill`."""

    grid: ClassVar[int] = 1
    margin: ClassVar[int] = 0

    def apply(self, raster: Raster) -> Raster:
        """Redact all of the raster."""
        return self.fill(raster, np.zeros(raster.samples.shape[:2], np.bool_), (0, 0, *raster.size))

    def cells_of_nothing(self, raster: Raster) -> tuple[_Cells, NDArray[np.float64], NDArray[np.float64]]:
        """Return the cells of a whole image, and the weights of each for the pixels of a column and of a row.

        Args:
            raster: Of the size and the mode of the image.
        """
        height, width = raster.samples.shape[:2]
        down, across = (_weights(side, max(height, width)) for side in (height, width))
        grey = np.broadcast_to(_grey(raster), (len(down), len(across), raster.samples.shape[2]))
        return np.rint(_tinted(grey, raster)), down, across

    def surroundings(self, region: Box, size: Size) -> Box:
        """Return the box around a region, in an image of this size, of which the visible pixels give the colours."""
        left, top, right, bottom = region
        reach = max(round(max(right - left, bottom - top) * _SURROUNDINGS), _MIN_SURROUNDINGS_PX)
        return max(left - reach, 0), max(top - reach, 0), min(right + reach, size[0]), min(bottom + reach, size[1])

    def fill(self, raster: Raster, known: Known, box: Box) -> Raster:
        """Return the soft cells of a box of the raster, computed from the pixels that are known, and from no others.

        A cell is the mean of its known pixels; without any, of the cells around it; grey if nothing is known.
        """
        sums, counts = _sum_cells(raster, known)
        cells = sums / np.maximum(counts, 1)[:, :, np.newaxis]
        present = counts > 0
        if not present.any():
            cells[:] = _grey(raster)
        while not present.all() and present.any():
            cells, present = _spread(cells, present)
        return raster.with_samples(_smooth(_tinted(cells, raster), raster, box))


def _sum_cells(raster: Raster, known: Known) -> tuple[_Cells, NDArray[np.int64]]:
    """Return the sum of the known pixels of each cell, and their number; with alpha, colours are premultiplied."""
    height, width, channels = raster.samples.shape
    rows, columns = _edges(height, max(height, width)), _edges(width, max(height, width))
    sums = np.zeros((len(rows) - 1, len(columns) - 1, channels))
    counts = np.zeros(sums.shape[:2], np.int64)
    for row in range(len(rows) - 1):
        for top in range(rows[row], rows[row + 1], _ROWS_PER_CHUNK):
            chunk = np.s_[top : min(top + _ROWS_PER_CHUNK, rows[row + 1])]
            if not known[chunk].any():
                continue
            # Whole numbers, whose sum is the same in any order.
            part = raster.samples[chunk]
            if raster.has_alpha:
                part = part.astype(np.int64)
                part[..., :-1] *= part[..., -1:]
            # All channels of a row in one go.
            part = part.reshape(len(part), -1) * known[chunk].repeat(channels, axis=1)
            total = part.sum(axis=0, dtype=np.int64).reshape(width, channels)
            sums[row] += np.add.reduceat(total, columns[:-1], axis=0)
            counts[row] += np.add.reduceat(known[chunk].sum(axis=0), columns[:-1])
    if raster.has_alpha:
        sums[..., :-1] /= raster.max_value
    return sums, counts


def _edges(side: int, longer_side: int) -> NDArray[np.int64]:
    """Return where cells begin along a side, and where the last one ends."""
    cells = max(1, min(round(side * MAX_CELLS / longer_side), side))
    return np.arange(cells + 1) * side // cells


def _spread(cells: _Cells, present: NDArray[np.bool_]) -> tuple[_Cells, NDArray[np.bool_]]:
    """Give each cell without a colour that has neighbours with one their mean; return all, and which have one now."""
    rows, columns = present.shape
    padded = np.pad(cells * present[:, :, np.newaxis], ((1, 1), (1, 1), (0, 0)))
    counted = np.pad(present.astype(np.float64), 1)
    sums, counts = np.zeros_like(cells), np.zeros(present.shape)
    for down in range(3):
        for across in range(3):
            sums += padded[down : down + rows, across : across + columns]
            counts += counted[down : down + rows, across : across + columns]
    means = sums / np.maximum(counts, 1)[:, :, np.newaxis]
    return np.where(present[:, :, np.newaxis], cells, means), counts > 0


def _grey(raster: Raster) -> NDArray[np.float64]:
    grey = {"CMYK": (0, 0, 0, 0.5), "YCbCr": (0.5, 0.5, 0.5), "LA": (0.5, 1), "RGBA": (0.5, 0.5, 0.5, 1)}
    return np.array(grey.get(raster.mode, (0.5,) * raster.samples.shape[2])) * raster.max_value


def _tinted(cells: _Cells, raster: Raster) -> _Cells:
    """Make cells lighter or darker by their position alone; colours stay premultiplied."""
    down, across = np.indices(cells.shape[:2])
    tones = np.asarray((2 * down + 3 * across) % 5 - 2, np.float64)[:, :, np.newaxis] / 2
    alpha = cells[..., -1:] if raster.has_alpha else np.full_like(cells[..., :1], raster.max_value)
    share = _TONES * alpha
    # Luma of YCbCr, black of CMYK, else all colours.
    channels = {"CMYK": np.s_[3:], "YCbCr": np.s_[:1]}.get(raster.mode, np.s_[: cells.shape[2] - raster.has_alpha])
    result = cells.copy()
    result[..., channels] = cells[..., channels].clip(share, alpha - share) + tones * share
    return result


def _smooth(cells: _Cells, raster: Raster, box: Box) -> NDArray[np.unsignedinteger]:
    """Return samples of a box that pass softly from cell to cell; where they are fully transparent, colours are 0."""
    left, top, right, bottom = box
    height, width, channels = raster.samples.shape
    down, across = (_weights(side, max(height, width)) for side in (height, width))
    down, across = down[:, top:bottom], across[:, left:right]
    # Sums in a fixed order, not matrix products, whose last bit depends on the processor.
    by_row = np.zeros((len(down), right - left, channels))
    for cell, weights in enumerate(across):
        reached = _reached(weights)
        by_row[:, reached] += weights[reached, np.newaxis] * cells[:, cell, np.newaxis]
    result = np.empty((bottom - top, right - left, channels), raster.samples.dtype)
    for begin in range(0, len(result), _ROWS_PER_CHUNK):
        chunk = result[begin : begin + _ROWS_PER_CHUNK]
        values = np.zeros(chunk.shape)
        for cell, weights in enumerate(down[:, begin : begin + _ROWS_PER_CHUNK]):
            reached = _reached(weights)
            values[reached] += weights[reached, np.newaxis, np.newaxis] * by_row[cell]
        if raster.has_alpha:
            seen = np.rint(values[..., -1:]) > 0
            values[..., :-1] *= seen * raster.max_value / np.maximum(values[..., -1:], 1e-9)
        chunk[:] = np.rint(values, out=values).clip(0, raster.max_value, out=values)
    return result


def _reached(weights: NDArray[np.float64]) -> slice:
    """Return the pixels along a side that a cell has a share of: they lie side by side."""
    found = np.flatnonzero(weights)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _weights(side: int, longer_side: int) -> NDArray[np.float64]:
    """Return, for each cell along a side, its share of each pixel's value: quadratic B-splines, shape (cells, side)."""
    cells = len(_edges(side, longer_side)) - 1
    positions = (np.arange(side) + 0.5) * cells / side - 0.5
    distance = np.abs(positions[np.newaxis] - np.arange(cells)[:, np.newaxis])
    outer = np.maximum(1.5 - distance, 0) ** 2 / 2
    weights: NDArray[np.float64] = np.where(distance < 0.5, 0.75 - distance**2, outer)
    weights /= weights.sum(axis=0)
    return weights
