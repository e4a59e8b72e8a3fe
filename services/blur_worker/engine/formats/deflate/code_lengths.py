"""Lengths of Huffman codes, in a compiled loop.

Source: Moffat and Katajainen, "In-place calculation of minimum-redundancy codes".

What keeps indices in range: there are as many numbers in each array as there are symbols, or more.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

LONGEST = 14
"""Bits; Deflate has codes of 15 too, but of these four fit into one word with what is left of the code before."""
_Numbers = NDArray[np.int64]


@compiled(nrt=False)
def _sort(counts: _Numbers, order: _Numbers) -> None:
    """Put symbols in the order of their counts, by insertion: blocks of an image have them in nearly the same order."""
    for index in range(1, len(order)):
        symbol, at = order[index], np.int64(index)
        while at > 0 and counts[order[at - 1]] > counts[symbol]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = symbol


@compiled(nrt=False)
def _find_depths(used: np.int64, depths: _Numbers) -> None:
    """Turn as many counts, of two symbols at least, the lowest first, into the depths of leaves of Huffman's tree."""
    depths[0] += depths[1]
    root, leaf = np.int64(0), np.int64(2)
    for node in range(1, used - 1):
        if leaf >= used or depths[root] < depths[leaf]:
            depths[node] = depths[root]
            depths[root] = node
            root += 1
        else:
            depths[node] = depths[leaf]
            leaf += 1
        if leaf >= used or (root < node and depths[root] < depths[leaf]):
            depths[node] += depths[root]
            depths[root] = node
            root += 1
        else:
            depths[node] += depths[leaf]
            leaf += 1
    depths[used - 2] = 0
    for node in range(used - 3, -1, -1):
        depths[node] = depths[depths[node]] + 1
    free, depth, root, leaf = np.int64(1), np.int64(0), used - 2, used - 1
    while free > 0:
        inner = np.int64(0)
        while root >= 0 and depths[root] == depth:
            inner += 1
            root -= 1
        while free > inner:
            depths[leaf] = depth
            leaf -= 1
            free -= 1
        free, depth = 2 * inner, depth + 1


@compiled(nrt=False)
def _limit(used: np.int64, depths: _Numbers) -> None:
    """Shorten codes to LONGEST, and make the rarest others longer until the code is complete again."""
    room = np.int64(1) << LONGEST
    taken = np.int64(0)
    for index in range(used):
        depths[index] = min(depths[index], np.int64(LONGEST))
        taken += room >> depths[index]
    rarest = np.int64(0)
    while taken > room:
        while depths[rarest] >= LONGEST:
            rarest += 1
        depths[rarest] += 1
        taken -= room >> depths[rarest]
    for index in range(used - 1, -1, -1):
        while room >> depths[index] <= room - taken:
            taken += room >> depths[index]
            depths[index] -= 1


@compiled(nrt=False)
def find_code_lengths(counts: _Numbers, order: _Numbers, depths: _Numbers, lengths: _Numbers) -> None:
    """Find the lengths of codes.

    Args:
        counts: How often each symbol occurs; two of them do at least.
        order: All symbols, in any order; they are sorted.
        depths: Room for as many numbers.
        lengths: Takes the lengths; of a symbol that does not occur, 0.
    """
    _sort(counts, order)
    count = len(order)
    first = np.int64(0)
    while counts[order[first]] == 0:
        first += 1
    used = count - first
    for index in range(used):
        depths[index] = counts[order[first + index]]
    _find_depths(used, depths)
    _limit(used, depths)
    for index in range(count):
        lengths[order[index]] = depths[index - first] if index >= first else 0
