"""Blocks far from the borders come out as if every coefficient were weighed on its own."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.transform.folded_stencil import FoldedStencil, folded, unfolded


def mirrored_stencil(window: int, kept: int) -> NDArray[np.float32]:
    """(1, 8, window × kept), random but for what a Gaussian and the DCT have in common on both sides."""
    weights = np.random.default_rng(3).normal(size=(8, window, kept))
    signs = np.where(np.add.outer(np.arange(8), np.arange(kept)) % 2, -1, 1)
    weights += weights[:, ::-1] * signs[:, np.newaxis]
    return weights.reshape(1, 8, -1).astype(np.float32)


def applied(stencil: FoldedStencil, cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight coefficients that come of (window, kept)."""
    parts = np.zeros(stencil.odd + stencil.weights.shape[2])
    for k, near, far, to, minus in stencil.taps.tolist():
        parts[to] = cells[near, k] + (cells[far, k] if minus >= 0 else 0)
        if minus >= 0:
            parts[minus] = cells[near, k] - cells[far, k]
    by_parity = [parts[begin : begin + stencil.weights.shape[2]] for begin in (0, stencil.odd)]
    return np.array([stencil.weights[0, u] @ by_parity[u % 2] for u in range(8)])


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("window", [3, 5, 17])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_same_with_half_the_weights(window: int, kept: int, *, symmetric: bool) -> None:
    stencil = mirrored_stencil(window, kept)
    made = (folded if symmetric else unfolded)(stencil, window, kept)
    cells = np.random.default_rng(4).normal(size=(window, kept))
    np.testing.assert_allclose(applied(made, cells), stencil[0] @ cells.ravel(), rtol=1e-5, atol=1e-5)
    assert made.weights.shape[2] % 4 in {0, 1}
    assert made.weights.shape[2] <= (window * kept / 2 + 4 if symmetric else window * kept + 3)
