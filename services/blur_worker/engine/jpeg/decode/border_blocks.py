"""Blocks that the border of the image cuts through: what an encoder put beyond it is not part of the image.

What keeps indices in range: `planes.plan` makes room for as many as a plane has.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.clamped_blocks import clamp_samples
from services.blur_worker.engine.jpeg.decode.layout import COMPONENT, block_place, decoded_place
from services.blur_worker.engine.jpeg.decode.rows_of_eight import combine


@compiled(nrt=False)
def _fit(component: np.record, y: int, x: int, out: NDArray[np.float32]) -> None:
    _, place = decoded_place(component, y, x)
    block = component.whole
    across, down = block + 64, block + 128
    for index in range(64):
        out[block + index] = out[place + index]
    if component.highest < np.inf:
        clamp_samples(block, 8, out)
    base = block_place(component, y, x)
    right, bottom = np.int64(x >= component.whole_columns), np.int64(y >= component.whole_rows)
    for row in range(0, 64, 8):
        combine(component.fit_across, 64 * right, out, block + row, out, across + row)
    for row in range(0, 64, 8):
        combine(out, across, component.fit_down, 64 * bottom + row, out, down + row)
    for index in range(component.wanted_count):
        out[base + component.wanted_at[index]] = out[down + component.wanted_of[index]]


@compiled("void(Components, float32[::1])", types={"Components": np.zeros(1, COMPONENT)}, nrt=False)
def fit_border_blocks(components: NDArray[np.void], out: NDArray[np.float32]) -> None:
    """Put border blocks where the others are, fitted to what is seen of them.

    Args:
        components: COMPONENT records.
        out: Has the blocks, row by row.
    """
    for index in range(len(components)):
        component = components[index]
        for y in range(component.rows):
            for x in range(component.whole_columns if y < component.whole_rows else 0, component.columns):
                _fit(component, y, x, out)
