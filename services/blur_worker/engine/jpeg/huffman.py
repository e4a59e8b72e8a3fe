"""Huffman tables as the compiled loops use them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.markers import HuffmanTable, UnfitError

LOOK = 10
"""Bits looked at first: nearly every code, most with the bits of their value, is no longer than that."""
FAR = 13
"""Bits looked at where values do not matter: more, and a picture's tables leave the processor's first cache."""
NEAR = 32
"""Values from -NEAR to NEAR - 1 are written in one go with their symbols."""
END = 128
"""As a run: the block ends here."""
SYMBOLS = 1 << LOOK
LIMITS = 2 << LOOK
STARTS = LIMITS + 17
ORDER = STARTS + 17
TABLE = ORDER + 256
"""Entries of a table: what to do for each `LOOK` bits; from `SYMBOLS` on which symbol they begin with; then, per
length, the limit of its codes and where the symbols of that length begin in their `ORDER`."""


@lru_cache(maxsize=64)
def decoding_table(table: HuffmanTable | None, *, dc: bool) -> NDArray[np.int32]:
    """Gives a table of `TABLE` entries for `scans`.

    An entry of the first part is `value << 16 | run << 8 | bits`: skip `run` coefficients, then comes `value`, and all
    that took so many `bits`; 0 where more bits must be looked at. One of the second part is `symbol << 8 | bits`,
    without the value; 0 if that code is longer. Every code belongs to one symbol, so what the rest of the bits are does
    not matter.

    Raises:
        UnfitError: No such table, or a DC symbol that means nothing.
    """
    if table is None:
        raise UnfitError("a Huffman table is missing")
    if dc and max(table.symbols) > 15:
        raise UnfitError("a wrong DC table")
    packed = np.zeros(TABLE, np.int32)
    first = _first_of(table, LOOK, dc=dc)
    packed[:SYMBOLS] = np.where(first.bits > 0, first.values << 16 | first.runs << 8 | first.bits, 0)
    packed[SYMBOLS:LIMITS] = first.symbols << 8 | first.lengths
    packed[ORDER:][: len(table.symbols)] = list(table.symbols)
    code = index = 0
    for length, count in enumerate(table.counts, 1):
        packed[STARTS + length] = index - code
        code, index = code + count, index + count
        packed[LIMITS + length] = code << (16 - length)
        code <<= 1
    return packed


@lru_cache(maxsize=64)
def skipping_table(table: HuffmanTable) -> NDArray[np.uint16]:
    """Gives for each `FAR` bits how far those lead that only want to know where the block ends.

    An entry is `advance << 4 | bits`, over as many AC symbols as fit: `advance` coefficients, 63 at most, and `END`
    more if the block ends there; 0 where more bits must be looked at.
    """
    first = _first_of(table, FAR, dc=False)
    steps = np.where(first.runs < END, first.runs + 1, 0)
    patterns = np.arange(1 << FAR)
    bits, advance, ended = np.zeros_like(patterns), np.zeros_like(patterns), np.zeros(1 << FAR, bool)
    for _ in range(FAR):
        rest = (patterns << bits) & ((1 << FAR) - 1)
        fits = ~ended & (first.bits[rest] > 0) & (bits + first.bits[rest] <= FAR) & (advance + steps[rest] < 64)
        if not fits.any():
            break
        ended |= fits & (first.runs[rest] == END)
        advance += np.where(fits, steps[rest], 0)
        bits += np.where(fits, first.bits[rest], 0)
    return np.asarray((advance + END * ended) << 4 | bits, np.uint16)


@dataclass(frozen=True)
class _First:
    """What stands at the beginning of each pattern of bits."""

    symbols: NDArray[np.int64]
    lengths: NDArray[np.int64]
    """Of their codes; 0 where those are longer than the pattern."""
    bits: NDArray[np.int64]
    """Of the code and the value behind it; 0 where they are more than there are, or mean nothing."""
    runs: NDArray[np.int64]
    values: NDArray[np.int64]


def _first_of(table: HuffmanTable, look: int, *, dc: bool) -> _First:
    lengths = np.repeat(np.arange(1, 17), table.counts)
    short = lengths <= look
    # Codes stand in the order of their bits, without gaps.
    of = np.repeat(np.arange(np.count_nonzero(short)), 1 << (look - lengths[short]))[: 1 << look]
    missing = (1 << look) - len(of)
    symbols = np.pad(np.frombuffer(table.symbols, np.uint8).astype(np.int64)[of], (0, missing))
    lengths = np.pad(lengths[of], (0, missing))
    runs, sizes = (np.zeros_like(symbols), symbols) if dc else (symbols >> 4, symbols & 15)
    bits = lengths + sizes
    # Without a value: the end of the block, or sixteen zeros; other runs are what only progressive scans have.
    empty = (sizes == 0) & (not dc)
    fits = (lengths > 0) & (bits <= look) & ~(empty & (runs > 0) & (runs < 15))
    raw = (np.arange(1 << look) >> np.maximum(look - bits, 0)) & ((1 << sizes) - 1)
    values = np.where((sizes > 0) & (raw >> np.maximum(sizes - 1, 0) == 0), raw - (1 << sizes) + 1, raw)
    runs = np.where(empty & (runs == 0), END, runs)
    return _First(symbols, lengths, np.where(fits, bits, 0), runs, np.where(sizes > 0, values, 0))


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
