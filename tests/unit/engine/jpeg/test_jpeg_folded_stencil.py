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
    even_odd = []
    for near, near_k, far, far_k, sign in stencil.taps.tolist():
        one, other = cells[near, near_k], cells[far, far_k]
        even_odd.append((one + sign * other, one - sign * other) if sign else (one, other))
    by_parity = np.array(even_odd)
    return np.array([stencil.weights[0, :, u] @ by_parity[:, u % 2] for u in range(8)])


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("window", [3, 5, 17])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_same_with_half_the_weights(window: int, kept: int, *, symmetric: bool) -> None:
    stencil = mirrored_stencil(window, kept)
    made = (folded if symmetric else unfolded)(stencil, window, kept)
    cells = np.random.default_rng(4).normal(size=(window, kept))
    np.testing.assert_allclose(applied(made, cells), stencil[0] @ cells.ravel(), rtol=1e-5, atol=1e-5)
    assert made.taps["sign"].astype(bool).tolist() == [index >= made.apart for index in range(len(made.taps))]
    assert len(made.taps) == (window // 2 * kept + (kept + 1) // 2 if symmetric else window * kept)
