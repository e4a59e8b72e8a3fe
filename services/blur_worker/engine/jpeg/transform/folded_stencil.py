"""Stencils whose two sides mirror each other, at half the cost: as a symmetric FIR filter is folded.

The Gaussian looks the same from both sides, and so does the DCT's basis but for the sign of every other function. What
a coefficient adds to one of the blurred block from the left is, up to that sign, what it adds from the right: both are
added, or subtracted, once for all coefficients of the result that have the same parity.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

AT_A_TIME = 4
"""Weights that the loops take at a time, and one more behind these if need be; what is missing is 0."""

TAP = np.dtype([("k", "i8"), ("near", "i8"), ("far", "i8"), ("to", "i8"), ("minus", "i8")])
"""What is weighed: coefficient `k` of the cell `near` of the window, as part `to`; or plus that of the cell `far`, and
the one minus the other as part `minus`, where that is not negative."""


class FoldedStencil(NamedTuple):
    """Stencils that weigh the same taps."""

    taps: NDArray[np.void]
    """(n,): TAP records."""
    weights: NDArray[np.float32]
    """(stencils, 8, parts): for each coefficient of the result the weights of the parts of its parity."""
    odd: int
    """The first part for coefficients of odd frequency; 0 if it is the first for those of even frequency, too."""


def folded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Fold stencils (n, 8, window × kept) of which the two sides mirror each other."""
    middle = window // 2
    pairs = [(k, cell) for cell in range(middle) for k in range(kept)]
    # A block's own coefficients are one more for one parity than for the other where their number is odd.
    own = [range(parity, kept, 2) for parity in range(2)]
    joined = np.zeros((len(stencils), 8, len(own[0]) + len(pairs)), np.float32)
    for parity in range(2):
        parts = [middle * kept + k for k in own[parity]] + [cell * kept + k for k, cell in pairs]
        joined[:, parity::2, : len(parts)] = stencils[:, parity::2, parts]
    weights = _padded(joined)
    odd = weights.shape[2]
    taps = [(k, middle, middle, k % 2 * odd + k // 2, -1) for k in range(kept)]
    for index, (k, cell) in enumerate(pairs):
        even_odd = len(own[0]) + index, odd + len(own[1]) + index
        taps.append((k, cell, window - 1 - cell, even_odd[k % 2], even_odd[1 - k % 2]))
    return FoldedStencil(np.array(taps, TAP), weights, odd)


def unfolded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Return stencils (n, 8, window × kept) as they are: each coefficient of each cell is a part."""
    taps = np.zeros(window * kept, TAP)
    taps["near"], taps["k"] = np.divmod(np.arange(window * kept), kept)
    taps["to"], taps["minus"] = np.arange(window * kept), -1
    return FoldedStencil(taps, _padded(stencils), 0)


def _padded(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    count = weights.shape[-1]
    missing = 0 if count > 1 and count % AT_A_TIME == 1 else -count % AT_A_TIME
    return np.ascontiguousarray(np.pad(weights, [(0, 0), (0, 0), (0, missing)]))
