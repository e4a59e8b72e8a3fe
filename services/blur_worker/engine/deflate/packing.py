"""Packs bytes as deflate's blocks, each with codes of its own. Source: RFC 1951, 3.2.

What keeps indices in range: `room_for` says how many words there can be at most; the rest are sizes of arrays.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.deflate.codes import (
    DISTANCES,
    END,
    LENGTHS,
    LITERALS,
    LONGEST_CODE,
    LONGEST_CODE_OF_LENGTHS,
    Codes,
    Counts,
    codes_of,
    lengths_of,
)
from services.blur_worker.engine.deflate.matches import (
    COSTS,
    DISTANCE_CODE,
    DISTANCE_EXTRA,
    DISTANCE_START,
    LENGTH,
    LENGTH_CODE,
    LENGTH_EXTRA,
    LENGTH_START,
    MATCH,
    PLACES,
    Bytes,
    Tokens,
    costs_of,
    find_matches,
)

Words = NDArray[np.uint32]
Place = tuple[np.uint64, np.uint64, np.uint64]
"""Bits that wait until there are 32, how many they are, and where those go then."""
BLOCK_BYTES = 1 << 17
_HEADER_WORDS = 192
_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15])
_REPEAT, _ZEROS = 16, 18
_FIRST_COST = 3


def room_for(size: int) -> int:
    """Words that so many bytes take at most: a byte 15 bits, three as a match 30 and its extra bits, four 48."""
    return size // 2 + _HEADER_WORDS * (1 + size // BLOCK_BYTES)


def first_costs() -> Counts:
    """What bits cost before anything is known: a little for bytes, so that matches have to be worth it."""
    return np.full(COSTS, _FIRST_COST, np.int64)


@compiled()
def _put(words: Words, place: Place, value: np.uint64, bits: np.uint64) -> Place:
    """Puts up to 32 bits; without asking whether there are enough: to store what is not yet whole costs less."""
    waiting, count, at = place
    waiting |= value << count
    count += bits
    words[at] = np.uint32(waiting & np.uint64(0xFFFFFFFF))
    full = count >> np.uint64(5)
    return waiting >> (full << np.uint64(5)), count & np.uint64(31), at + full


@compiled()
def _put_code(words: Words, place: Place, code: np.uint64) -> Place:
    return _put(words, place, code & np.uint64(0xFFFFFFFF), code >> np.uint64(32))


@compiled()
def _shorten(lengths: Counts, symbols: Counts, repeats: Counts, counts: Counts) -> int:
    """Tells lengths by symbols that say which repeat; counts those; how many there are."""
    at, found = 0, 0
    while at < len(lengths):
        same = 1
        while at + same < len(lengths) and lengths[at + same] == lengths[at]:
            same += 1
        symbol = int(lengths[at])
        if symbol == 0 and same >= 11:
            symbol, same = _ZEROS, min(same, 138)
        elif symbol and at and lengths[at - 1] == symbol and same >= 3:
            symbol, same = _REPEAT, min(same, 6)
        else:
            same = 1
        symbols[found], repeats[found] = symbol, same
        counts[symbol] += 1
        found += 1
        at += same
    return found


@compiled()
def _put_header(words: Words, place: Place, lengths: Counts, distance_lengths: Counts, last: bool) -> Place:
    """The block's kind and its codes: their lengths, in a code of their own."""
    literals, distances = LITERALS, DISTANCES
    while not lengths[literals - 1]:
        literals -= 1
    while distances > 1 and not distance_lengths[distances - 1]:
        distances -= 1
    both = np.concatenate((lengths[:literals], distance_lengths[:distances]))
    symbols, repeats = np.empty_like(both), np.empty_like(both)
    counts, bits, codes = np.zeros(LENGTHS, np.int64), np.zeros(LENGTHS, np.int64), np.zeros(LENGTHS, np.uint64)
    found = _shorten(both, symbols, repeats, counts)
    lengths_of(counts, LONGEST_CODE_OF_LENGTHS, bits)
    codes_of(bits, codes)
    told = LENGTHS
    while not bits[_ORDER[told - 1]]:
        told -= 1
    place = _put(words, place, np.uint64(last | 4 | (literals - 257) << 3 | (distances - 1) << 8), np.uint64(13))
    place = _put(words, place, np.uint64(told - 4), np.uint64(4))
    for index in range(told):
        place = _put(words, place, np.uint64(bits[_ORDER[index]]), np.uint64(3))
    for index in range(found):
        symbol, same = symbols[index], repeats[index]
        place = _put_code(words, place, codes[symbol])
        if symbol == _REPEAT:
            place = _put(words, place, np.uint64(same - 3), np.uint64(2))
        elif symbol == _ZEROS:
            place = _put(words, place, np.uint64(same - 11), np.uint64(7))
    return place


@compiled()
def _put_tokens(words: Words, place: Place, tokens: Tokens, codes: Codes, distance_codes: Codes) -> Place:
    for token in tokens:
        if token < MATCH:
            place = _put_code(words, place, codes[token])
            continue
        length, distance = np.int64(token & LENGTH), np.int64(token >> 10)
        code = LENGTH_CODE[length]
        place = _put_code(words, place, codes[code])
        code -= END + 1
        place = _put(words, place, np.uint64(length - LENGTH_START[code]), np.uint64(LENGTH_EXTRA[code]))
        code = DISTANCE_CODE[distance]
        place = _put_code(words, place, distance_codes[code])
        place = _put(words, place, np.uint64(distance - DISTANCE_START[code]), np.uint64(DISTANCE_EXTRA[code]))
    return place


@compiled("Tuple((u8, u8, u8))(u1[::1], b1, u8, u8, i8[::1], u4[::1])")
def pack(data: Bytes, last: bool, waiting: np.uint64, count: np.uint64, costs: Counts, words: Words) -> Place:
    """Packs bytes; refers to nothing before them.

    Args:
        data: At least one byte.
        last: Whether nothing follows.
        waiting: Bits left over from what was packed before.
        count: How many they are, at most 31.
        costs: (COSTS,): what was learned from bytes before, and of these afterwards.
        words: Where to put bits, lowest first; `room_for` says how many.

    Returns:
        Bits left over, how many they are, how many words are full.
    """
    places = np.full(PLACES, -1, np.int64)
    tokens = np.empty(min(BLOCK_BYTES, len(data)), np.uint32)
    counts, distance_counts = np.empty(LITERALS, np.int64), np.empty(DISTANCES, np.int64)
    lengths, distance_lengths = np.empty(LITERALS, np.int64), np.empty(DISTANCES, np.int64)
    codes, distance_codes = np.zeros(LITERALS, np.uint64), np.zeros(DISTANCES, np.uint64)
    place = (waiting, count, np.uint64(0))
    for first in range(0, len(data), BLOCK_BYTES):
        stop = min(first + BLOCK_BYTES, len(data))
        counts[:], distance_counts[:] = 0, 0
        counts[END] = 1
        found = find_matches(data, first, stop, places, costs, tokens, counts, distance_counts)
        distance_counts[0] = max(distance_counts[0], 1)  # some readers want one
        lengths_of(counts, LONGEST_CODE, lengths)
        lengths_of(distance_counts, LONGEST_CODE, distance_lengths)
        codes_of(lengths, codes)
        codes_of(distance_lengths, distance_codes)
        costs_of(lengths, distance_lengths, costs)
        place = _put_header(words, place, lengths, distance_lengths, last and stop == len(data))
        place = _put_tokens(words, place, tokens[:found], codes, distance_codes)
        place = _put_code(words, place, codes[END])
    return place
