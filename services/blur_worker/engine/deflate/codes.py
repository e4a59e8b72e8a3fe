"""Deflate's Huffman codes: how many bits each symbol gets, and which. Source: RFC 1951, 3.2."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

Counts = NDArray[np.int64]
Codes = NDArray[np.uint64]
LITERALS, DISTANCES, LENGTHS = 286, 30, 19
"""Symbols of the three codes: of bytes, the end and lengths of matches; of their distances; of both codes' lengths."""
END = 256
LONGEST_CODE, LONGEST_CODE_OF_LENGTHS = 15, 7


@compiled()
def _sorted_symbols(counts: Counts, order: Counts) -> int:
    """Puts the symbols that occur in order of their counts; they are few, and few are out of place."""
    found = 0
    for symbol in range(len(counts)):
        if counts[symbol] > 0:
            at = found
            while at > 0 and counts[order[at - 1]] > counts[symbol]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = symbol
            found += 1
    return found


@compiled()
def _grow(order: Counts, leaves: int, counts: Counts, lengths: Counts) -> int:
    """Puts the lengths of a Huffman code into `lengths`; the longest. `leaves`, at least two, is how many there are."""
    # Leaves in order of their weights, then inner nodes, which come out in that order too.
    weights, parents = np.zeros(2 * leaves, np.int64), np.empty(2 * leaves, np.int64)
    for leaf in range(leaves):
        weights[leaf] = counts[order[leaf]]
    leaf, inner, root = 0, leaves, 2 * leaves - 2
    for node in range(leaves, root + 1):
        for _ in range(2):
            if leaf < leaves and (inner >= node or weights[leaf] <= weights[inner]):
                child = leaf
                leaf += 1
            else:
                child = inner
                inner += 1
            weights[node] += weights[child]
            parents[child] = node
    depths, deepest = weights, 0
    depths[root] = 0
    for node in range(root - 1, -1, -1):
        depths[node] = depths[parents[node]] + 1
        if node < leaves:
            lengths[order[node]] = depths[node]
            deepest = max(deepest, int(depths[node]))
    return deepest


@compiled()
def lengths_of(counts: Counts, longest: int, lengths: Counts) -> None:
    """Gives each symbol that occurs the length of its code, 1 to `longest`, and the others 0.

    Args:
        counts: How often each symbol occurs; where codes would be too long, they are made more alike.
        longest: Bits; enough to tell all symbols apart.
        lengths: As many as counts.
    """
    order = np.empty(len(counts), np.int64)
    while True:
        lengths[:] = 0
        leaves = _sorted_symbols(counts, order)
        if leaves < 2:
            if leaves:
                lengths[order[0]] = 1
            return
        if _grow(order, leaves, counts, lengths) <= longest:
            return
        for symbol in range(len(counts)):
            counts[symbol] = (counts[symbol] + 1) // 2


@compiled()
def codes_of(lengths: Counts, codes: Codes) -> None:
    """Gives the codes of these lengths, their first bit lowest, and above bit 32 the length again."""
    following = np.zeros(LONGEST_CODE + 2, np.int64)
    for length in lengths:
        if length:
            following[length + 1] += 1
    for length in range(1, len(following)):
        following[length] = 2 * (following[length - 1] + following[length])
    # Now they are the first code of each length.
    for symbol in range(len(lengths)):
        length = lengths[symbol]
        if not length:
            continue
        code = following[length]
        following[length] += 1
        turned = np.uint64(0)
        for _ in range(length):
            turned = turned << np.uint64(1) | np.uint64(code & 1)
            code >>= 1
        codes[symbol] = turned | np.uint64(length) << np.uint64(32)
