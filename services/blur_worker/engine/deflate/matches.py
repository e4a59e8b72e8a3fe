"""Finds what has been there before, as deflate's matches, where that takes fewer bits than to say it again.

What a blur leaves of a row is tiny differences of one or two bits each: a match of less than a dozen bytes, as others
look for, takes more than what it stands for. So one candidate is looked at, which has the same twelve bytes.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.deflate.codes import DISTANCES, END, Counts

Bytes = NDArray[np.uint8]
Tokens = NDArray[np.uint32]
PLACES = 1 << 14
"""How many positions are remembered, each by a hash of the bytes there."""
MATCH = 1 << 9
"""Tokens below are bytes; those above have their distance from bit 10 on, and the length in what is below 9."""
LENGTH = MATCH - 1
_LONGEST, _FARTHEST = 258, 1 << 15
_SEEN_BYTES = 12
"""That a hash is made of: each shifts those before it, and twelve are all that 64 bits hold of the first of them."""
_SHIFT = np.uint64(-(-64 // _SEEN_BYTES))
_TOP = np.uint64(64 - 14)
_NOISE = np.random.default_rng(1).integers(0, 1 << 64, 256, np.uint64)


def _steps(first: int, codes: int, extra: list[int]) -> tuple[list[int], list[int]]:
    """Where each code's values begin, and which code each value has."""
    starts, code_of = [first], [0] * first
    for code in range(codes):
        code_of += [code] * (1 << extra[code])
        starts.append(starts[-1] + (1 << extra[code]))
    return starts[:-1], code_of


_length_extra = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)]
_distance_extra = [0, 0] + [bits for bits in range(14) for _ in range(2)]
_length_starts, _length_codes = _steps(3, 28, _length_extra)
_distance_starts, _distance_codes = _steps(1, 30, _distance_extra)
LENGTH_CODE = END + 1 + np.array([*_length_codes[:_LONGEST], 28])
LENGTH_EXTRA = np.array([*_length_extra, 0])
LENGTH_START = np.array([*_length_starts, _LONGEST])
"""Of a length its code; of a code (from 257 on) how many bits follow it, and its least length."""
DISTANCE_CODE = np.array(_distance_codes, np.uint8)
DISTANCE_EXTRA = np.array(_distance_extra)
DISTANCE_START = np.array(_distance_starts)
"""The same of distances."""
DISTANCES_AT = 1 << 10
COSTS = DISTANCES_AT + DISTANCES
"""Costs in bits: of the tokens of bytes, of matches by their length alone, and of distances by their code."""
_UNSEEN = 12
"""What a code costs that did not occur: it may yet, if it is worth that."""


@compiled()
def costs_of(lengths: Counts, distance_lengths: Counts, costs: Counts) -> None:
    """Gives what tokens cost under the codes of these lengths."""
    for byte in range(END):
        costs[byte] = lengths[byte] or _UNSEEN
    for length in range(3, _LONGEST + 1):
        code = LENGTH_CODE[length]
        costs[MATCH + length] = (lengths[code] or _UNSEEN) + LENGTH_EXTRA[code - END - 1]
    for code in range(DISTANCES):
        bits = distance_lengths[code] or _UNSEEN
        costs[DISTANCES_AT + code] = bits + DISTANCE_EXTRA[code]


@compiled()
def _saved_by_run(data: Bytes, at: int, stop: int, costs: Counts) -> tuple[int, int]:
    """How many bytes repeat the one before, and how many bits a match saves that says so."""
    before = data[np.uint64(at - 1)]
    end, last = at, min(stop, at + _LONGEST)
    while end < last and data[np.uint64(end)] == before:
        end += 1
    if end - at < 3:
        return 0, 0
    return end - at, (end - at) * costs[before] - costs[MATCH + end - at] - costs[DISTANCES_AT]


@compiled()
def _saved_by(data: Bytes, at: int, from_: int, stop: int, costs: Counts) -> tuple[int, int]:
    """How many bytes are the same as from another position on, and how many bits a match saves that says so."""
    end, last, saved = at, min(stop, at + _LONGEST), 0
    while end < last and data[np.uint64(end)] == data[np.uint64(from_ + end - at)]:
        saved += costs[data[np.uint64(end)]]
        end += 1
    if end - at < 3:
        return 0, 0
    return end - at, saved - costs[MATCH + end - at] - costs[DISTANCES_AT + DISTANCE_CODE[at - from_]]


@compiled()
def find_matches(
    data: Bytes,
    first: int,
    stop: int,
    places: Counts,
    costs: Counts,
    tokens: Tokens,
    counts: Counts,
    distance_counts: Counts,
) -> int:
    """Puts bytes into tokens.

    Args:
        data: Its bytes from `first` to before `stop` are put into tokens; those before may be referred to.
        first: See data.
        stop: See data.
        places: (PLACES,): where in data something was seen last, by its hash; -1: nowhere.
        costs: (COSTS,).
        tokens: One for each byte at most.
        counts: Of bytes and lengths; what is found is added.
        distance_counts: Likewise.

    Returns:
        How many tokens there are.
    """
    found = 0
    hashed = min(len(data), first + _SEEN_BYTES - 1)
    key = np.uint64(0)
    for at in range(first, hashed):
        key = (key << _SHIFT) + _NOISE[data[at]]
    at = first
    while at < stop:
        length, distance, saved = 0, 0, 0
        if at:
            length, saved = _saved_by_run(data, at, stop, costs)
            distance = 1
        if hashed < len(data):
            key = (key << _SHIFT) + _NOISE[data[np.uint64(hashed)]]
            hashed += 1
            seen = places[key >> _TOP]
            places[key >> _TOP] = at
            if seen >= 0 and at - seen <= _FARTHEST and length < _LONGEST:
                other, more = _saved_by(data, at, seen, stop, costs)
                if more > saved:
                    length, distance, saved = other, at - seen, more
        if saved <= 0:
            byte = data[np.uint64(at)]
            tokens[np.uint64(found)] = byte
            counts[byte] += 1
            at += 1
        else:
            tokens[np.uint64(found)] = distance << 10 | MATCH | length
            counts[LENGTH_CODE[length]] += 1
            distance_counts[DISTANCE_CODE[distance]] += 1
            for passed in range(at + 1, min(at + length, len(data) - _SEEN_BYTES)):
                key = (key << _SHIFT) + _NOISE[data[np.uint64(passed + _SEEN_BYTES - 1)]]
                places[key >> _TOP] = passed
            at += length
            hashed = min(len(data), at + _SEEN_BYTES - 1)
        found += 1
    return found
