"""Blocks that the border of the image cuts through: what an encoder put beyond it is not part of the image.

What keeps indices in range: `planes.plan` makes room for as many as a plane has.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.clamped_blocks import clamp_samples
from services.blur_worker.engine.jpeg.decode.layout import COMPONENT, KEPT, block_place, decoded_place
from services.blur_worker.engine.jpeg.format.markers import ZIGZAG


@compiled(nrt=False)
def _fit(component: np.record, y: int, x: int, out: NDArray[np.float32]) -> None:
    _, place = decoded_place(component, y, x)
    block = component.whole
    for index in range(64):
        out[block + index] = out[place + index]
    if component.highest < np.inf:
        clamp_samples(block, 8, out)
    base = block_place(component, y, x)
    right, bottom = np.int64(x >= component.whole_columns), np.int64(y >= component.whole_rows)
    for row in range(8):
        for u in range(8):
            total = np.float32(0)
            for index in range(8):
                total += component.fit_across[right, u, index] * out[block + 8 * row + index]
            component.scratch[row, u] = total
    for k in range(64):
        target = component.targets[KEPT, k]
        if target >= 0:
            total = np.float32(0)
            for index in range(8):
                total += component.fit_down[bottom, ZIGZAG[k] // 8, index] * component.scratch[index, ZIGZAG[k] % 8]
            out[base + target] = total


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
