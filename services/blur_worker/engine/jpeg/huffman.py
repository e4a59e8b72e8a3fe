"""Huffman tables as the compiled loops use them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.markers import HuffmanTable, UnfitError

LOOK = 10
"""Bits looked at first: nearly every code, most with the bits of their value, is no longer than that."""
NEAR = 32
"""Values from -NEAR to NEAR - 1 are written in one go with their symbols."""
END = 128
"""As a run: the block ends here."""
TABLE = (1 << LOOK) + 2 * 17 + 256
"""Entries of a table: what to do for each `LOOK` bits, then per length the limit of its codes and where the symbols of
that length begin, then the symbols."""


@lru_cache(maxsize=64)
def decoding_table(table: HuffmanTable | None, *, dc: bool) -> NDArray[np.int32]:
    """Gives a table of `TABLE` entries for `scans`.

    An entry of the first part is `value << 16 | run << 8 | bits`: skip `run` coefficients, then comes `value`, and all
    that took so many `bits`; 0 where more bits must be looked at. Every code belongs to one symbol, so what the rest
    of the bits are does not matter.

    Raises:
        UnfitError: No such table, or a DC symbol that means nothing.
    """
    if table is None:
        raise UnfitError("a Huffman table is missing")
    if dc and max(table.symbols) > 15:
        raise UnfitError("a wrong DC table")
    packed = np.zeros(TABLE, np.int32)
    limits, starts = packed[1 << LOOK :][:17], packed[(1 << LOOK) + 17 :][:17]
    packed[(1 << LOOK) + 34 :][: len(table.symbols)] = list(table.symbols)
    code = index = 0
    for length, count in enumerate(table.counts, 1):
        starts[length] = index - code
        for symbol in table.symbols[index : index + count]:
            if length <= LOOK:
                _fill(packed, code, length, symbol, dc=dc)
            code += 1
        index += count
        limits[length] = code << (16 - length)
        code <<= 1
    return packed


def _fill(packed: NDArray[np.int32], code: int, length: int, symbol: int, *, dc: bool) -> None:
    run, size = (0, symbol) if dc else (symbol >> 4, symbol & 15)
    begin, spare = code << (LOOK - length), LOOK - length
    if size > spare:
        return
    if size == 0:
        if not dc and run != 15:
            if run:
                return  # End of several blocks, which only progressive scans have.
            run = END
        packed[begin : begin + (1 << spare)] = run << 8 | length
        return
    values = np.arange(1 << size, dtype=np.int32)
    values = np.where(values >> (size - 1), values, values - (1 << size) + 1)
    entries = values << 16 | run << 8 | (length + size)
    packed[begin : begin + (1 << spare)] = np.repeat(entries, 1 << (spare - size))


@lru_cache(maxsize=64)
def encoding_table(table: HuffmanTable) -> NDArray[np.uint64]:
    """Gives `code << 8 | length` for each of 256 symbols, then for each run of 0 to 15 and each value within `NEAR`.

    Those have the bits of the value behind the code. What has no code is 0.
    """
    codes = np.zeros(256, np.uint64)
    code = index = 0
    for length, count in enumerate(table.counts, 1):
        for symbol in table.symbols[index : index + count]:
            codes[symbol] = code << 8 | length
            code += 1
        index += count
        code <<= 1
    values = range(-NEAR, NEAR)
    sizes = np.array([abs(value).bit_length() for value in values], np.uint64)
    low = np.array([(value if value > 0 else value - 1) & ((1 << abs(value).bit_length()) - 1) for value in values])
    symbols = codes[(np.arange(16, dtype=np.uint64)[:, np.newaxis] << np.uint64(4)) | sizes]
    with_value = ((symbols >> np.uint64(8) << sizes | low.astype(np.uint64)) << np.uint64(8)) | (
        (symbols & np.uint64(0xFF)) + sizes
    )
    return np.concatenate([codes, with_value.ravel()])
