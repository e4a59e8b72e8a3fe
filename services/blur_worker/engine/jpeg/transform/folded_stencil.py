"""Stencils whose two sides mirror each other, at half the cost: as a symmetric FIR filter is folded.

The Gaussian looks the same from both sides, and so does the DCT's basis but for the sign of every other function. What
a coefficient adds to one of the blurred block from the left is, up to that sign, what it adds from the right: both are
added, or subtracted, once for all coefficients of the result that have the same parity.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

AT_A_TIME = 4
"""Weights that the loops take at a time, and one more if need be; what is missing is 0."""

TAP = np.dtype([("k", "i8"), ("near", "i8"), ("far", "i8"), ("sign", "i8")])
"""What is weighed: coefficient `k` of the cell `near` of the window plus `sign` times that of the cell `far`."""


class FoldedStencil(NamedTuple):
    """Stencils that weigh the same taps."""

    taps: NDArray[np.void]
    """(2, n): TAP records, for coefficients of the result of even and of odd frequency."""
    weights: NDArray[np.float32]
    """(stencils, 8, at least n): for each coefficient of the result the weights of the taps of its parity."""
    alike: bool
    """Whether the taps are the same for both parities."""


def folded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Fold stencils (n, 8, window × kept) of which the two sides mirror each other."""
    middle = window // 2
    taps_of, weights_of = [], []
    for parity in range(2):
        taps = [(k, middle, middle, 0) for k in range(parity, kept, 2)]
        taps += [
            (k, cell, window - 1 - cell, -1 if (k + parity) % 2 else 1) for cell in range(middle) for k in range(kept)
        ]
        taps_of.append(np.array(taps, TAP))
        weights_of.append(stencils[:, parity::2, [cell * kept + k for k, cell, *_ in taps]])
    # A block's own coefficients are one more for one parity than for the other where their number is odd.
    most = max(len(taps) for taps in taps_of)
    joined = np.zeros((len(stencils), 8, most), np.float32)
    for parity, weights in enumerate(weights_of):
        joined[:, parity::2, : weights.shape[2]] = weights
    filled = np.stack([np.concatenate([taps, taps[: most - len(taps)]]) for taps in taps_of])
    return FoldedStencil(filled, _padded(joined), alike=False)


def unfolded(stencils: NDArray[np.float32], window: int, kept: int) -> FoldedStencil:
    """Return stencils (n, 8, window × kept) as they are: each coefficient of each cell is a tap."""
    taps = np.zeros(window * kept, TAP)
    taps["near"], taps["k"] = np.divmod(np.arange(window * kept), kept)
    taps["far"] = taps["near"]
    return FoldedStencil(np.stack([taps] * 2), _padded(stencils), alike=True)


def _padded(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    count = weights.shape[-1]
    missing = 0 if count % AT_A_TIME == 1 else -count % AT_A_TIME
    return np.ascontiguousarray(np.pad(weights, [(0, 0), (0, 0), (0, missing)]))
