"""Huffman decoding (T.81, F.2.2): tables, and the procedure DECODE.

What keeps indices in range: tables are looked up by as many bits as they have entries for, or by an index that is
masked.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import extend, receive
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.tables import HuffmanTable

LOOK = 10
"""Bits looked up at first: nearly every code, most with the bits of their value, is no longer than that."""
SKIP = 13
"""Bits looked up where values do not matter: with more, an image's tables leave the processor's first cache."""
SKIP_SUM_UNIT, MAX_SKIP_SUM = 4, 15
"""An entry of `skips` has the sum of magnitudes, divided by 4 and at most 15, in 4 bits."""
END_OF_BLOCK = 128
"""As a run of coefficients: the block ends."""

HUFFMAN = np.dtype(
    [
        # By the next LOOK bits. Of a longer code 0, else symbol << 8 | bits of the code and of what follows it.
        ("symbols", "i4", 1 << LOOK),
        # The same of a whole coefficient: value << 16 | zeros before it << 8 | bits of code and value; or 0.
        ("values", "i4", 1 << LOOK),
        # By the next SKIP bits, over as many symbols as fit: sum << 12 | coefficients << 4 | bits; or 0. The sum is
        # that of the magnitudes of their values, in units of SKIP_SUM_UNIT, MAX_SKIP_SUM at most.
        ("skips", "u2", 1 << SKIP),
        # By length: the first code, filled up to 16 bits, that is longer; the index of a symbol less its code.
        ("limit", "i4", 17),
        ("offset", "i4", 17),
        ("huffval", "u1", 256),
    ],
    align=True,
)


@lru_cache(maxsize=64)
def decoding_table(table: HuffmanTable | None, *, dc: bool = False, whole: bool = False) -> NDArray[np.void]:
    """Return the table as one HUFFMAN record.

    Args:
        table: As the file has it.
        dc: Whether it is one of DC differences.
        whole: Whether whole AC coefficients are to be looked up, as only sequential scans have them.

    Raises:
        UnsupportedJpeg: There is no table, or it has DC symbols without a meaning.
    """
    if table is None:
        raise UnsupportedJpeg("a Huffman table is missing")
    if dc and max(table.huffval) > 15:
        raise UnsupportedJpeg("DC differences of more than 15 bits")
    made = np.zeros(1, HUFFMAN)
    made["huffval"][0, : len(table.huffval)] = np.frombuffer(table.huffval, np.uint8)
    _fill(made, np.array(table.bits, np.int64), dc, whole)
    return made


@compiled(nrt=False)
def _with_bits(symbol: int, length: int) -> np.int64:
    """A symbol RRRRSSSS is followed by SSSS bits of a value; one of RRRR0000 by RRRR bits of an EOB run, but ZRL."""
    run, size = symbol >> 4, symbol & 15
    return symbol << 8 | (length + (size if size or run == 15 else run))


@compiled(nrt=False)
def decode(table: np.record, word: np.uint64) -> np.int64:
    """Return the symbol that `word` begins with, << 8 | bits of its code and what follows; -1: no code (DECODE)."""
    entry = np.int64(table.symbols[word >> np.uint64(64 - LOOK)])
    if entry:
        return entry
    code = np.int64(word >> np.uint64(48))
    for length in range(LOOK + 1, 17):
        if code < table.limit[length]:
            index = table.offset[length] + (code >> (16 - length))
            return _with_bits(np.int64(table.huffval[index & 255]), np.int64(length))
    return np.int64(-1)


@compiled("void(Tables, int64[::1], boolean, boolean)", types={"Tables": np.zeros(1, HUFFMAN)}, nrt=False)
def _fill(tables: NDArray[np.void], bits: NDArray[np.int64], dc: bool, whole: bool) -> None:
    """Fill the lookups of a table whose `huffval` is set.

    Codes are assigned as in T.81, C.2 (figures C.1 and C.2): those of a length are consecutive numbers, the first is
    twice the one after the last code that is a bit shorter. `limit` and `offset` stand for MAXCODE, MINCODE and VALPTR
    (F.2.2.3, figure F.15). A symbol of AC is RRRRSSSS (F.1.2.2): zeros before a coefficient, bits of its value.

    Args:
        tables: Shape (1,), of HUFFMAN; all fields but `huffval` are zero.
        bits: BITS (B.2.4.2), shape (16,): number of codes of 1 to 16 bits.
        dc: As for `decoding_table`; a symbol of DC is the size of its value alone, so no zeros come before it.
        whole: As for `decoding_table`: whether to fill `values` (always for DC) and `skips`, too.
    """
    table = tables[0]
    code = index = np.int64(0)
    for length in range(1, 17):
        table.offset[length] = index - code
        for _ in range(bits[length - 1]):
            if length <= LOOK:
                for pattern in range(code << (LOOK - length), (code + 1) << (LOOK - length)):
                    table.symbols[pattern] = _with_bits(np.int64(table.huffval[index]), np.int64(length))
            code += 1
            index += 1
        table.limit[length] = code << (16 - length)
        code <<= 1
    # `values`: what the first LOOK bits hold, if it is a whole coefficient (EXTEND, F.2.2.1) or the end of the block.
    for pattern in range(1 << LOOK if dc or whole else 0):
        entry = np.int64(table.symbols[pattern])
        run, size, used = np.int64(0) if dc else entry >> 12, (entry >> 8) & 15, entry & 0xFF
        if 0 < used <= LOOK and (dc or size or run in (0, 15)):
            value = extend(receive(np.uint64(pattern) << np.uint64(64 - LOOK), used, size), size) if size else 0
            if not (dc or entry >> 8):
                run = END_OF_BLOCK
            table.values[pattern] = value << 16 | run << 8 | used
    # `skips`: as many whole coefficients as the first SKIP bits hold.
    for pattern in range(1 << SKIP if whole else 0):
        word = np.uint64(pattern) << np.uint64(64 - SKIP)
        taken = advance = total = np.int64(0)
        while advance < END_OF_BLOCK:
            entry = decode(table, word << np.uint64(taken))
            run, size = entry >> 12, (entry >> 8) & 15
            if entry < 0 or taken + (entry & 0xFF) > SKIP or (size == 0 and 0 < run < 15):
                break
            if entry >> 8 == 0:
                advance += END_OF_BLOCK
            elif advance + run + 1 < 64:
                advance += run + 1
            else:
                break
            if size:
                total += abs(extend(receive(word << np.uint64(taken), entry & 0xFF, size), size))
            taken += entry & 0xFF
        table.skips[pattern] = (
            min((total + SKIP_SUM_UNIT // 2) // SKIP_SUM_UNIT, np.int64(MAX_SKIP_SUM)) << 12 | advance << 4 | taken
        )
