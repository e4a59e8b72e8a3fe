"""The Gaussian along one axis of a plane, as a matrix from DCT coefficients to DCT coefficients.

A plane is blurred along one axis and then along the other. A block's coefficients after that are a weighted sum of
those of the blocks around it: the inverse DCT, the Gaussian over mirrored borders and the DCT are linear, and are
multiplied here into one small matrix, computed to the last digit. What is left out is what cannot be seen through the
blur: coefficients of high frequency, and, for large sigmas, differences between neighbouring blocks.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.transform.folded_stencil import FoldedStencil, folded, unfolded

_REACH = 3.2
"""Standard deviations after which a Gaussian is cut off."""

_LEAST_SIGMA = 1e-3

_rows = np.arange(8)[:, np.newaxis]
BASIS = np.cos((2 * np.arange(8) + 1) * _rows * np.pi / 16) / np.where(_rows, 2, math.sqrt(8))
"""(8, 8): the DCT of eight samples is BASIS @ samples, and samples are coefficients @ BASIS."""


class Detail(NamedTuple):
    """How finely a plane must be known: `kept` coefficients of each block, or one of each `together` blocks."""

    kept: int
    together: int


def detail_for(sigma: float, *, sharp: bool = False) -> Detail:
    """What a blur by so many samples leaves of a plane; `sharp` for one of text."""
    for least, detail in (*_DETAILS[:4], *_SHARP_DETAILS) if sharp else _DETAILS:
        if sigma >= least:
            return detail
    return Detail(8, 1)


_DETAILS = (
    (160.0, Detail(1, 8)),
    (80.0, Detail(1, 4)),
    (40.0, Detail(1, 2)),
    (20.0, Detail(1, 1)),
    (5.0, Detail(2, 1)),
    (3.0, Detail(3, 1)),
    (2.0, Detail(4, 1)),
    (1.5, Detail(5, 1)),
    (1.0, Detail(6, 1)),
)
"""Sigmas, and the detail that is used from each on. Against the exact Gaussian photographs come out at 63 dB or more
with errors of 2 levels, noise and zone plates from sigma 2 on at 49 dB (at 1: 42), and the worst of all sinusoids at
37 dB (at 1: 34)."""
_SHARP_DETAILS = (
    (7.0, Detail(2, 1)),
    (5.0, Detail(3, 1)),
    (4.0, Detail(4, 1)),
    (3.0, Detail(5, 1)),
    (2.5, Detail(6, 1)),
    (2.0, Detail(7, 1)),
)
"""The same below 20, for text: black on white in every block, with errors of 2 levels at most, against 12 otherwise."""


class AxisGaussian(NamedTuple):
    """Each output block is a stencil times the coefficients of a window of cells, which begins at one of `starts`."""

    cells: int
    """Blocks of the input, or groups of them."""
    kept: int
    """Coefficients of each."""
    together: int
    """Blocks of a group."""
    window: int
    """Cells that a stencil looks at."""
    starts: NDArray[np.int64]
    """Index of the first cell of the window, for each block of the output."""
    first: int
    """The first block of the output that is far from the borders; there are `inner` such blocks, in cells."""
    inner: int
    start: int
    """Where the window of the first of them begins."""
    inner_stencils: FoldedStencil
    """Stencils of the inner blocks, as many as blocks are taken together."""
    border_stencils: FoldedStencil
    which: NDArray[np.int64]
    """Which of these a block near the borders has."""
    border_weights: NDArray[np.float32]
    """(n, window × kept, 8): their weights once more, those for one tap side by side."""
    largest: NDArray[np.float64]
    """(8,): no coefficient of samples within ±1 is larger after the blur."""


@lru_cache(maxsize=64)
def axis_gaussian(length: int, sigma: float, lead: int = 0, detail: Detail | None = None) -> AxisGaussian:
    """Return the blur along an axis of so many samples.

    Args:
        length: Samples.
        sigma: Standard deviation in samples; at 0 nothing is changed.
        lead: Samples by which the first block of the input begins before the image does, 0 to 7.
        detail: What is known of the input; by default `detail_for` the blur.
    """
    sigma = max(sigma, _LEAST_SIGMA)
    kept, together = detail = detail or detail_for(sigma)
    size = 8 * together
    cells = -(-(length + lead) // size)
    outputs = -(-length // 8)
    reach = math.ceil(_REACH * sigma / size)
    window = min(cells, 2 * reach + 1 + (lead > 0))
    middle = np.minimum((np.arange(outputs) * 8) // size, cells - 1)
    starts = (middle - reach).clip(0, cells - window)
    inner = range(min(reach + 1, cells), max(0, cells - reach - 2 - (lead > 0)))
    if len(inner) == 0:
        inner = range(0)
    apart = np.array([index not in inner for index in middle], bool)
    first = inner.start * together
    inside = np.arange(first, first + (together if inner else 0))
    chosen = np.concatenate([inside, np.nonzero(apart)[0]])
    stencils, largest = _stencils(length, sigma, lead, detail, window, chosen, starts[chosen])
    of_inside, of_border = stencils[: len(inside)], stencils[len(inside) :]
    which = np.zeros(outputs, np.int64)
    which[apart] = np.arange(len(of_border))
    mirrored = len(inside) and together == 1 and lead == 0
    return AxisGaussian(
        cells=cells,
        kept=kept,
        together=together,
        window=window,
        starts=starts,
        first=first,
        inner=len(inner),
        start=max(0, inner.start - reach),
        inner_stencils=(folded if mirrored else unfolded)(of_inside, window, kept),
        border_stencils=unfolded(of_border, window, kept),
        which=which,
        border_weights=np.ascontiguousarray(of_border.transpose(0, 2, 1)),
        largest=largest,
    )


def _stencils(
    length: int,
    sigma: float,
    lead: int,
    detail: Detail,
    window: int,
    outputs: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    size = 8 * detail.together
    kernel = _wrapped_kernel(2 * length, sigma)
    to = outputs[:, np.newaxis, np.newaxis] * 8 + np.arange(8)[np.newaxis, :, np.newaxis]
    of = (starts * size - lead)[:, np.newaxis, np.newaxis] + np.arange(window * size)[np.newaxis, np.newaxis, :]
    weights = kernel[(to - of) % (2 * length)] + kernel[(to + of + 1) % (2 * length)]
    weights *= (of >= 0) & (of < length)
    weights /= weights.sum(axis=2, keepdims=True)
    basis = BASIS[: detail.kept] if detail.together == 1 else np.full((1, size), math.sqrt(1 / 8))
    per_cell = weights.reshape(len(outputs), 8, window, size) @ basis.T
    stencils = np.einsum("uq,eqck->euck", BASIS, per_cell).reshape(len(outputs), 8, -1)
    largest = np.abs(BASIS @ weights).sum(axis=2).max(axis=0)
    return np.ascontiguousarray(stencils, np.float32), largest


def _wrapped_kernel(period: int, sigma: float) -> NDArray[np.float64]:
    """Samples of the Gaussian around 0, what lies outside the period folded back in; the sum is 1."""
    end = math.ceil(6 * sigma)
    weights = np.exp(-0.5 * (np.arange(-end, end + 1) / sigma) ** 2)
    kernel = np.bincount(np.arange(-end, end + 1) % period, weights=weights, minlength=period)
    return np.asarray(kernel / kernel.sum())


@lru_cache(maxsize=64)
def border_fit(shown: int, kept: int, *, at_end: bool) -> NDArray[np.float32]:
    """(8, 8): from a block's coefficients to those that, `kept` of them, come nearest to its `shown` samples.

    What an encoder has put beyond the border of the image is not part of it.
    """
    here = BASIS[:, :shown] if at_end else BASIS[:, 8 - shown :]
    fit = np.zeros((8, 8))
    fit[:kept] = np.linalg.pinv(here[:kept].T) @ here.T
    return fit.astype(np.float32)
