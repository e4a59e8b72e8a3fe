"""Blocks that the border of the picture cuts through: what an encoder put beyond it is not part of the picture."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled


@compiled(uncounted=True)
def refit_block(
    out: NDArray[np.float32],
    spare: int,
    across: NDArray[np.float32],
    which_across: int,
    down: NDArray[np.float32],
    which_down: int,
    targets: NDArray[np.int64],
    component: int,
    places: NDArray[np.uint8],
    base: int,
) -> None:
    """Puts the coefficients of a block that goes beyond the picture, fitted to what is in it, where they are wanted.

    The block's 8×8 are those of `out` from `spare` on; behind them is room for eight more.
    """
    for v in range(8):
        for u in range(8):
            total = np.float32(0)
            for index in range(8):
                total += across[which_across, u * 8 + index] * out[spare + v * 8 + index]
            out[spare + 64 + u] = total
        for u in range(8):
            out[spare + v * 8 + u] = out[spare + 64 + u]
    for u in range(8):
        for v in range(8):
            total = np.float32(0)
            for index in range(8):
                total += down[which_down, v * 8 + index] * out[spare + index * 8 + u]
            out[spare + 64 + v] = total
        for v in range(8):
            out[spare + v * 8 + u] = out[spare + 64 + v]
    for index in range(64):
        if targets[component, index] >= 0:
            out[base + targets[component, index]] = out[spare + places[index]]
