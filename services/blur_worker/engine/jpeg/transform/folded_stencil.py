"""Stencils whose two sides mirror each other, at half the cost: as a symmetric FIR filter is folded.

The Gaussian looks the same from both sides, and so does the DCT's basis but for the sign of every other function. What
a coefficient adds to one of the blurred block from the left is, up to that sign, what it adds from the right: both are
added, or subtracted, once for all coefficients of the result that have the same parity.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TAP = np.dtype([("near", "i8"), ("near_k", "i8"), ("far", "i8"), ("far_k", "i8"), ("sign", "f4")])
"""Two coefficients of the window: `near_k` of the cell `near`, and `far_k` of the cell `far`.

With a sign, coefficients of even frequency get near + sign × far, and those of odd frequency near - sign × far. Where
it is 0, those of even frequency get the near one as it is, and those of odd frequency the far one.
"""


class FoldedStencil(NamedTuple):
    """Stencils that weigh the same taps."""

    taps: NDArray[np.void]
    """(n,): TAP records; those whose sign is 0 come first."""
    apart: int
    """How many of them have the sign 0."""
    weights: NDArray[np.float32]
    """(stencils, n, 8): of each tap for each coefficient of the result."""


def folded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Fold stencils (n, 8, window × kept) of which the two sides mirror each other."""
    middle = window // 2
    # Of a block's own coefficients, one of even and one of odd frequency, which have nothing to do with each other.
    own = [(middle, k, middle, min(k + 1, kept - 1), 0) for k in range(0, kept, 2)]
    sides = [(cell, k, window - 1 - cell, k, 1 - k % 2 * 2) for cell in range(middle) for k in range(kept)]
    by_place = stencils.reshape(len(stencils), 8, window, kept)
    weights = np.zeros((len(stencils), len(own) + len(sides), 8), np.float32)
    for index, (near, near_k, _far, far_k, _sign) in enumerate(own + sides):
        weights[:, index, ::2] = by_place[:, ::2, near, near_k]
        weights[:, index, 1::2] = by_place[:, 1::2, near, far_k]
    return FoldedStencil(np.array(own + sides, TAP), len(own), weights)


def unfolded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Return stencils (n, 8, window × kept) as they are: each coefficient of each cell is weighed alone."""
    taps = [(cell, k, cell, k, 0) for cell in range(window) for k in range(kept)]
    return FoldedStencil(np.array(taps, TAP), len(taps), np.ascontiguousarray(stencils.transpose(0, 2, 1)))
