"""The stencil that all blocks far from the borders have, at half the cost: its two sides mirror each other.

The Gaussian looks the same from both sides, and so does the DCT's basis but for the sign of every other function. What
a coefficient adds to one of the blurred block from the left is, up to that sign, what it adds from the right: both are
added up, or subtracted, once for all coefficients of the result that have the same parity.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AT_A_TIME = 4
"""Weights that the loops take at a time, and one more if need be; what is missing is 0."""

# Columns of `Shared.parts`: which coefficient, of which cells of the window, and the sign of the second.
COEFFICIENT, NEAR, FAR, SIGN = range(4)


@dataclass(frozen=True)
class Shared:
    """Sums of coefficients, and what to multiply them by."""

    parts: NDArray[np.int64]
    """(2, n, 4): for coefficients of the result of even and of odd frequency, what is added up first."""
    weights: NDArray[np.float32]
    """(stencils, 8, at least n): for each coefficient of the result a weight for each part of its parity."""
    alike: bool
    """Whether the parts are the same for both parities."""


def share(stencils: NDArray[np.float32], window: int, kept: int, *, symmetric: bool) -> Shared:
    """Takes (n, 8, window × kept) apart: halved if they are `symmetric`, else as they are."""
    if not (symmetric and len(stencils)):
        return Shared(np.stack([plain_parts(window, kept)] * 2), padded(stencils), alike=True)
    middle = window // 2
    parts_of, weights_of = [], []
    for parity in range(2):
        parts = [(k, middle, middle, 0) for k in range(parity, kept, 2)]
        parts += [
            (k, cell, window - 1 - cell, -1 if (k + parity) % 2 else 1) for cell in range(middle) for k in range(kept)
        ]
        parts_of.append(np.array(parts, np.int64))
        weights_of.append(stencils[:, parity::2, [cell * kept + k for k, cell, *_ in parts]])
    # A block's own coefficients are one more for one parity than for the other where their number is odd.
    most = max(len(parts) for parts in parts_of)
    joined = np.zeros((len(stencils), 8, most), np.float32)
    for parity, weights in enumerate(weights_of):
        joined[:, parity::2, : weights.shape[2]] = weights
    filled = np.stack([np.concatenate([parts, parts[: most - len(parts)]]) for parts in parts_of])
    return Shared(filled, padded(joined), alike=False)


def plain_parts(window: int, kept: int) -> NDArray[np.int64]:
    """(window × kept, 4): each coefficient on its own."""
    cell, coefficient = np.divmod(np.arange(window * kept), kept)
    return np.stack([coefficient, cell, cell, np.zeros_like(cell)], axis=1)


def padded(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """As many as the loops take."""
    count = weights.shape[-1]
    missing = 0 if count % AT_A_TIME == 1 else -count % AT_A_TIME
    return np.ascontiguousarray(np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, missing)]))
