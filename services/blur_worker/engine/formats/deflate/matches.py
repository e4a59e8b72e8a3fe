"""Find runs in which pixels repeat, and count symbols, in compiled loops.

Of photographs that are filtered, hardly anything else is worth a match: to look for nothing else takes a third of the
time.

What keeps indices in range: eight bytes are read at a time as long as there are as many; a run has four bytes at least,
and there is room for as many runs.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.formats.deflate.layout import END_OF_BLOCK, EXTRA_COUNTS, LENGTH_SYMBOLS, MOST, SYMBOLS

_LOW_BITS, _HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_LAST_THREE = np.uint64(0xFFFFFF) << np.uint64(40)
_Bytes = NDArray[np.uint8]
_Matches = NDArray[np.int64]


@compiled(nrt=False)
def _word(data: _Bytes, at: np.uint64) -> np.uint64:
    word = np.uint64(0)
    for index in range(8):
        word |= np.uint64(data[at + np.uint64(index)]) << np.uint64(8 * index)
    return word


@compiled(nrt=False)
def _count(data: _Bytes, begin: np.int64, end: np.int64, writer: np.record) -> None:
    at, stop = np.uint64(begin), np.uint64(end)
    while at < stop:
        if at + np.uint64(4) <= stop:
            for quarter in range(4):
                writer.quarters[np.uint64(quarter), np.uint64(data[at + np.uint64(quarter)])] += 1
            at += np.uint64(4)
        else:
            writer.quarters[np.uint64(0), np.uint64(data[at])] += 1
            at += np.uint64(1)


@compiled(nrt=False)
def _next_run(data: _Bytes, at: np.int64, distance: np.int64) -> np.int64:
    """Return where the next four bytes repeat those before, or where fewer than eight bytes are left."""
    while at + 8 <= len(data):
        differs = _word(data, np.uint64(at)) ^ _word(data, np.uint64(at - distance))
        # Of each byte, whether it or one of the three behind it differs: known of five of them.
        differs |= differs >> np.uint64(8)
        differs |= differs >> np.uint64(16)
        differs |= _LAST_THREE
        if (differs - _LOW_BITS) & ~differs & _HIGH_BITS:
            while differs & np.uint64(0xFF):
                differs >>= np.uint64(8)
                at += 1
            break
        at += 5
    return at


@compiled(nrt=False)
def _find_matches(data: _Bytes, writer: np.record, matches: _Matches) -> None:
    """Find runs that repeat the pixel before and cost fewer bits than their bytes; count all symbols."""
    distance, found, done, size = writer.distance, np.int64(0), np.int64(0), np.int64(len(data))
    at = _next_run(data, distance, distance)
    while at + 8 <= size:
        most = min(np.int64(MOST), size - at)
        length = cost = np.int64(0)
        while length < most and data[np.uint64(at + length)] == data[np.uint64(at + length - distance)]:
            cost += writer.lengths[np.uint64(data[np.uint64(at + length)])]
            length += 1
        symbol = LENGTH_SYMBOLS[length]
        if cost > writer.lengths[symbol] + np.int64(EXTRA_COUNTS[length]) + 1:
            _count(data, done, at, writer)
            writer.counts[symbol] += 1
            matches[found, 0], matches[found, 1] = at, length
            found += 1
            done = at + length
        at = _next_run(data, at + length, distance)
    _count(data, done, size, writer)
    writer.matches = found


@compiled(nrt=False)
def count_symbols(data: _Bytes, writer: np.record, matches: _Matches) -> None:
    """Find what is to be written of a block; see `block.write_block`."""
    for symbol in range(SYMBOLS):
        writer.counts[symbol] = 0
    for value in range(256):
        for quarter in range(4):
            writer.quarters[quarter, value] = 0
    _find_matches(data, writer, matches)
    for value in range(256):
        for quarter in range(4):
            writer.counts[value] += writer.quarters[quarter, value]
    writer.counts[END_OF_BLOCK] = 1
