"""Pixelation: each cell becomes the mean of its pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from services.blur_worker.engine.raster import Raster

_ROWS_PER_CHUNK = 128


@dataclass(frozen=True)
class Pixelation:
    """A `PixelEffect`."""

    cell: int
    """Side of a cell in pixels. Cells start at the top left; the last ones may be partial."""
    margin: ClassVar[int] = 0

    @property
    def grid(self) -> int:
        """See `PixelEffect`."""
        return self.cell

    def apply(self, raster: Raster) -> Raster:
        """Replace each cell by its mean; with alpha, the mean is that of premultiplied colours."""
        samples, cell = raster.samples, self.cell
        height, width, _ = samples.shape
        columns = np.arange(0, width, cell)
        widths = np.diff(columns, append=width)
        result = np.empty_like(samples)
        chunk = max(_ROWS_PER_CHUNK // cell, 1) * cell
        for top in range(0, height, chunk):
            part = samples[top : top + chunk].astype(np.uint64)
            if raster.has_alpha:
                part[..., :-1] *= part[..., -1:]
            rows = np.arange(0, len(part), cell)
            heights = np.diff(rows, append=len(part))
            sums = np.add.reduceat(np.add.reduceat(part, columns, axis=1), rows, axis=0)
            means = sums / np.outer(heights, widths)[:, :, np.newaxis]
            if raster.has_alpha:
                means[..., :-1] = sums[..., :-1] / np.maximum(sums[..., -1:], 1)
                means[..., :-1] *= means[..., -1:] >= 0.5  # as the Gaussian: fully transparent pixels have no colour
            cells = np.rint(means).astype(samples.dtype)
            result[top : top + chunk] = np.repeat(np.repeat(cells, heights, axis=0), widths, axis=1)
        return raster.with_samples(result)
