"""Blocks whose samples leave 0 to 255: every viewer clamps them before they are seen, and so before they are blurred.

Sharp edges that are coarsely quantized overshoot, as around text on white paper. Most blocks cannot: the decoder adds
up what their coefficients reach at most.

What keeps indices in range: `planes.plan` makes room for a block, see `COMPONENT.whole`.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.layout import KEPT
from services.blur_worker.engine.jpeg.format.markers import ZIGZAG
from services.blur_worker.engine.jpeg.transform.dct_gaussian import BASIS

_BASIS = BASIS.astype(np.float32)
_BY_POSITION = np.ascontiguousarray(_BASIS.T)
_LOWEST, _HIGHEST = -128, 127
"""Samples around 0."""
_ROUNDING = 0.5
"""A sample that is shown has no fraction."""


@compiled(inline=True, nrt=False)
def _sums(
    of: NDArray[np.float32], begin: int, weights: NDArray[np.float32], row: int, rows: int, out_at: int
) -> tuple[np.float32, np.float32]:
    """Add up rows of eight, each times its weight in a row of the basis; return the least and the largest sum.

    One vector, which a loop would put back into memory each time.
    """
    a = b = c = d = e = f = g = h = np.float32(0)
    for index in range(rows):
        weight = weights[np.uint64(row), np.uint64(index)]
        at = np.uint64(begin + 8 * index)
        a += of[at] * weight
        b += of[at + np.uint64(1)] * weight
        c += of[at + np.uint64(2)] * weight
        d += of[at + np.uint64(3)] * weight
        e += of[at + np.uint64(4)] * weight
        f += of[at + np.uint64(5)] * weight
        g += of[at + np.uint64(6)] * weight
        h += of[at + np.uint64(7)] * weight
    to = np.uint64(out_at)
    of[to], of[to + np.uint64(1)], of[to + np.uint64(2)], of[to + np.uint64(3)] = a, b, c, d
    of[to + np.uint64(4)], of[to + np.uint64(5)], of[to + np.uint64(6)], of[to + np.uint64(7)] = e, f, g, h
    return min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h))), max(
        max(max(a, b), max(c, d)), max(max(e, f), max(g, h))
    )


@compiled(nrt=False)
def _transpose(block: int, out: NDArray[np.float32]) -> None:
    for row in range(8):
        for column in range(row):
            one, other = np.uint64(block + 8 * row + column), np.uint64(block + 8 * column + row)
            out[one], out[other] = out[other], out[one]


@compiled(nrt=False)
def clamp_samples(block: int, out: NDArray[np.float32]) -> bool:
    """Clamp the samples of a block of coefficients, row by row; return whether any left what can be shown.

    Its coefficients are changed if so. The two blocks behind it are overwritten.
    """
    half, samples = block + 64, block + 128
    rows = np.int64(8)  # the lower ones are often 0
    while rows > 1:
        nonzero = False
        for index in range(8):
            nonzero |= out[np.uint64(block + 8 * (rows - 1) + index)] != 0
        if nonzero:
            break
        rows -= 1
    for y in range(8):
        _sums(out, block, _BY_POSITION, y, rows, half + 8 * y)
    _transpose(half, out)
    lowest = highest = np.float32(0)
    for x in range(8):
        least, most = _sums(out, half, _BY_POSITION, x, 8, samples + 8 * x)
        lowest, highest = min(lowest, least), max(highest, most)
    if lowest >= _LOWEST - _ROUNDING and highest <= _HIGHEST + _ROUNDING:
        return False
    for index in range(64):
        at = np.uint64(samples + index)
        out[at] = min(max(out[at], np.float32(_LOWEST)), np.float32(_HIGHEST))
    for u in range(8):
        _sums(out, samples, _BASIS, u, 8, half + 8 * u)
    _transpose(half, out)
    for v in range(8):
        _sums(out, half, _BASIS, v, 8, block + 8 * v)
    return True


@compiled(nrt=False)
def clamp_block(component: np.record, block: int, base: int, out: NDArray[np.float32]) -> None:
    """Put the coefficients of a clamped block where those that are wanted belong."""
    if clamp_samples(block, out):
        for k in range(64):
            target = component.targets[KEPT, k]
            if target >= 0:
                out[np.uint64(base + target)] = out[np.uint64(block + ZIGZAG[k])]
