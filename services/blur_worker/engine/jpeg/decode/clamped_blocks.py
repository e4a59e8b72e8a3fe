"""Blocks whose samples leave 0 to 255: every viewer clamps them before they are seen, and so before they are blurred.

Sharp edges that are coarsely quantized overshoot, as around text on white paper. Most blocks cannot: the decoder adds
up what their coefficients reach at most.

What keeps indices in range: `planes.plan` makes room for a block, see `COMPONENT.whole`.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.rows_of_eight import combine
from services.blur_worker.engine.jpeg.transform.dct_gaussian import BASIS

_BASIS = np.ascontiguousarray(BASIS, np.float32).reshape(64)
_BY_POSITION = np.ascontiguousarray(BASIS.T, np.float32).reshape(64)
_LOWEST, _HIGHEST = -128, 127
"""Samples around 0."""
SHARE, SHARE_OF_TEXT = 0.07, 0.12
"""What a coefficient of 1 adds to a sample where coefficients add up: of text half of the most that it can be.

They hardly ever all add up in one place. Blocks that leave what can be shown although this denies it are
shifted by 0.5 levels at most, on average by 0.001.
"""


@compiled(nrt=False)
def shown(dc: np.float32) -> np.float32:
    """Return the DC coefficient of a block of one colour as it is shown."""
    return min(max(dc, np.float32(8 * _LOWEST)), np.float32(8 * _HIGHEST))


@compiled(nrt=False)
def clamp_samples(block: int, wanted: int, out: NDArray[np.float32]) -> bool:
    """Clamp the samples of a block of coefficients, row by row; return whether any left what can be shown.

    So many rows of its coefficients are changed if so. The two blocks behind it are overwritten.
    """
    half, samples = block + 64, block + 128
    for y in range(8):
        combine(out, block, _BY_POSITION, 8 * y, out, half + 8 * y)
    outside = False
    for y in range(8):
        outside |= combine(_BASIS, 0, out, half + 8 * y, out, samples + 8 * y)
    if not outside:
        return False
    for index in range(64):
        at = np.uint64(samples + index)
        out[at] = min(max(out[at], np.float32(_LOWEST)), np.float32(_HIGHEST))
    for v in range(wanted):
        combine(out, samples, _BASIS, 8 * v, out, half + 8 * v)
    for v in range(wanted):
        combine(_BY_POSITION, 0, out, half + 8 * v, out, block + 8 * v)
    return True
