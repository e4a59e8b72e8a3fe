"""What changes from one frame of an animation to the next."""

import numpy as np

from services.blur_worker.engine.raster import Box, Raster


def changed_box(frame: Raster, before: Raster | None) -> Box:
    """Return the smallest box around all pixels that differ from the frame before; all of the first frame.

    A frame without a difference keeps its time: it becomes one pixel.
    """
    if before is None:
        return (0, 0, *frame.size)
    differs = (frame.samples != before.samples).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 1, 1)
