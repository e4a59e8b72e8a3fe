"""Codes of progressive scans: unlike those of sequential ones each is read apart from the bits that follow it.

A scan has tables of its own, which are used for little else, so these are made in a compiled loop. What keeps indices
in range: a table has `TABLE` entries, looked up by `LOOK` bits, or by an index that is masked.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.markers import HuffmanTable, UnfitError

LOOK = 10
"""Bits looked at first: nearly every code is no longer than that."""
TABLE = (1 << LOOK) + 2 * 17 + 256
"""Entries of a table: those for each `LOOK` bits, then per length the limit of its codes and where the symbols of that
length begin, then the symbols."""


def code_table(table: HuffmanTable | None, *, dc: bool = False) -> NDArray[np.int32]:
    """Gives a table of `TABLE` entries.

    Raises:
        UnfitError: No such table, or a DC symbol that means nothing.
    """
    if table is None:
        raise UnfitError("a Huffman table is missing")
    if dc and max(table.symbols) > 15:
        raise UnfitError("a wrong DC table")
    packed = np.zeros(TABLE, np.int32)
    _fill(np.array(table.counts, np.int64), np.frombuffer(table.symbols, np.uint8).astype(np.int32), packed)
    return packed


@compiled(uncounted=True)
def _with_bits(symbol: np.int64 | int, length: int) -> np.int64 | int:
    """`symbol << 8 | bits`, with those of the value, or of the number of blocks, behind the code."""
    run, size = symbol >> 4, symbol & 15
    behind = size if size or run == 15 else run
    return symbol << 8 | (length + behind)


@compiled("void(int64[::1], int32[::1], int32[::1])")
def _fill(counts: NDArray[np.int64], symbols: NDArray[np.int32], packed: NDArray[np.int32]) -> None:
    """Fills a table of zeros; `counts` and `symbols` are those of a `HuffmanTable`, which have been checked."""
    code = index = 0
    for length in range(1, 17):
        packed[(1 << LOOK) + 17 + length] = index - code
        for _ in range(counts[length - 1]):
            packed[(1 << LOOK) + 34 + index] = symbols[index]
            if length <= LOOK:
                begin, spare = code << (LOOK - length), LOOK - length
                packed[begin : begin + (1 << spare)] = _with_bits(symbols[index], length)
            code += 1
            index += 1
        packed[(1 << LOOK) + length] = code << (16 - length)
        code <<= 1


@compiled(uncounted=True)
def long_code(table: NDArray[np.int32], bits: np.uint64) -> np.int64:
    """The same as an entry for a code of any length; -1 if there is no such code."""
    code = np.int64(bits >> np.uint64(48))
    for length in range(1, 17):
        if code < table[(1 << LOOK) + length]:
            index = table[(1 << LOOK) + 17 + length] + (code >> (16 - length))
            return np.int64(_with_bits(np.int64(table[(1 << LOOK) + 34 + (index & 255)]), length))
    return np.int64(-1)


@compiled(uncounted=True)
def bits_behind(word: np.uint64, used: np.uint64, size: np.int64) -> np.int64:
    """The last `size` (1 to 15) of the first `used` bits, which are at most 57."""
    return np.int64((word >> (np.uint64(64) - used)) & ((np.uint64(1) << np.uint64(size)) - np.uint64(1)))


@compiled(uncounted=True)
def signed(raw: np.int64, size: np.int64) -> np.int64:
    """The number that those bits stand for."""
    return raw if raw >> (size - 1) else np.int64(raw - (1 << size) + 1)
