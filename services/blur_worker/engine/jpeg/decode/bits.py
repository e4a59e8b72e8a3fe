"""Bits of entropy-coded data (T.81, F.2.2): the procedures RECEIVE and EXTEND."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

READY = 57
"""Bits that `peek` gives."""


@compiled(nrt=False)
def peek(data: NDArray[np.uint8], position: int) -> np.uint64:
    """Return the bits from this one on, the first one highest."""
    at, word = np.uint64(position), np.uint64(0)
    for index in range(8):
        word = word << np.uint64(8) | np.uint64(data[(at >> np.uint64(3)) + np.uint64(index)])
    return word << (at & np.uint64(7))


@compiled(nrt=False)
def receive(word: np.uint64, used: int, size: int) -> np.int64:
    """Return the last `size` (1 to 15) of the first `used` bits, at most 57 (RECEIVE)."""
    return np.int64((word >> np.uint64(64 - used)) & ((np.uint64(1) << np.uint64(size)) - np.uint64(1)))


@compiled(nrt=False)
def extend(value: int, size: int) -> np.int64:
    """Return the signed number that so many bits stand for (EXTEND)."""
    return value if value >> (size - 1) else value - (np.int64(1) << size) + 1
