"""Huffman codes of a table, by symbol (T.81, annex C)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.tables import HuffmanTable

NEAR = 32
"""Values from -NEAR to NEAR - 1 are written in one go with their symbols."""

CODES = 256 + 16 * 2 * NEAR
"""Length of an encoding table."""


@lru_cache(maxsize=64)
def encoding_table(table: HuffmanTable) -> NDArray[np.uint64]:
    """Return `code << 8 | length` for each of 256 symbols, then for each run of 0 to 15 and each value within `NEAR`.

    Those have the bits of the value behind the code. What has no code is 0.
    """
    codes = np.zeros(256, np.uint64)
    for code, length, symbol in table.codes():
        codes[symbol] = code << 8 | length
    values = np.arange(-NEAR, NEAR)
    sizes = np.array([abs(value).bit_length() for value in values.tolist()], np.uint64)
    low = np.where(values > 0, values, values - 1).astype(np.uint64) & ((np.uint64(1) << sizes) - np.uint64(1))
    symbols = codes[(np.arange(16, dtype=np.uint64)[:, np.newaxis] << np.uint64(4)) | sizes]
    code, length = symbols >> np.uint64(8), symbols & np.uint64(0xFF)
    return np.concatenate([codes, ((code << sizes | low) << np.uint64(8) | (length + sizes)).ravel()])
