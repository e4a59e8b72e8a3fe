"""Choose a palette: the colours of an image are halved, again and again, where they differ most.

A binary tree of splits, at the mean of the channel with the largest variance (as other variance-based methods), from
a sample of the pixels; all pixels then descend it. Linear in the number of pixels, whatever they are.

What keeps indices in range: leaves are ranges of the sample, and there are at most as many as there is room for.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled

_MAX_SAMPLE = 1 << 18
_MAX_LEAVES = 256
_RECENT_BITS = 12
"""Bits of a color's hash: 2 to this power is how many recent colors are remembered with their leaves."""
_HASH = 0x9E3779B1
_NO_COLOR = 1 << 24
_Packed = NDArray[np.uint32]


def reduce_colors(packed: _Packed, room: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return for each pixel an index into a palette, and the palette: shape (colours, 3).

    Args:
        packed: Colours as numbers, 0xRRGGBB; at least one.
        room: How many colours the palette may have, 1 to 256.
    """
    flat = np.ascontiguousarray(packed).reshape(-1)
    sample = flat[:: -(-len(flat) // _MAX_SAMPLE)].copy()
    nodes = np.zeros((2 * _MAX_LEAVES, 4), np.int64)
    _grow(sample, room, nodes)
    indices = np.empty(len(flat), np.uint8)
    sums = np.zeros((_MAX_LEAVES, 4), np.int64)
    count = _descend(flat, nodes, indices, sums)
    sums = sums[:count]
    means = (sums[:, :3] + sums[:, 3:] // 2) // np.maximum(sums[:, 3:], 1)
    return indices.reshape(packed.shape), means.astype(np.uint8)


@compiled()
def _spread(sample: _Packed, begin: np.int64, end: np.int64, found: NDArray[np.float64]) -> None:
    """Put into `found`: the channel's shift with the largest variance, that variance times the pixels, its mean."""
    found[1] = -1.0
    for shift in range(0, 24, 8):
        total, squares = 0.0, 0.0
        for index in range(begin, end):
            value = float((sample[index] >> np.uint32(shift)) & np.uint32(255))
            total += value
            squares += value * value
        variance = squares - total * total / (end - begin)
        if variance > found[1]:
            found[0], found[1], found[2] = shift, variance, total / (end - begin)


@compiled("void(uint32[::1], int64, int64[:, ::1])")
def _grow(sample: _Packed, room: int, nodes: NDArray[np.int64]) -> None:
    """Make the tree; the sample is put in order on the way.

    Args:
        sample: Colours.
        room: How many leaves there may be.
        nodes: Takes the nodes, the root first: shift, threshold, left and right node; of a leaf the last two are 0.
    """
    begins, ends = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    spreads = np.zeros((len(nodes), 3), np.float64)
    ends[0] = len(sample)
    _spread(sample, begins[0], ends[0], spreads[0])
    count, leaves = np.int64(1), np.int64(1)
    while leaves < room:
        widest = np.int64(0)
        for node in range(count):
            if spreads[node, 1] > spreads[widest, 1]:
                widest = np.int64(node)
        # What is left of a variance of 0 after rounding.
        if spreads[widest, 1] < 0.4:
            return
        shift, threshold = np.int64(spreads[widest, 0]), np.int64(np.floor(spreads[widest, 2]))
        low, high = begins[widest], ends[widest]
        while low < high:
            if np.int64((sample[low] >> np.uint32(shift)) & np.uint32(255)) <= threshold:
                low += 1
            else:
                high -= 1
                other = sample[low]
                sample[low] = sample[high]
                sample[high] = other
        spreads[widest, 1] = -1.0
        if low == begins[widest] or low == ends[widest]:
            continue
        nodes[widest] = (shift, threshold, count, count + 1)
        begins[count], ends[count] = begins[widest], low
        begins[count + 1], ends[count + 1] = low, ends[widest]
        _spread(sample, begins[count], ends[count], spreads[count])
        _spread(sample, begins[count + 1], ends[count + 1], spreads[count + 1])
        count += 2
        leaves += 1


@compiled("int64(Array(uint32, 1, 'C', readonly=True), int64[:, ::1], uint8[::1], int64[:, ::1])")
def _descend(packed: _Packed, nodes: NDArray[np.int64], out: NDArray[np.uint8], sums: NDArray[np.int64]) -> np.int64:
    """Put the leaf of each pixel into `out`, add up colours and pixels of each leaf, and return how many there are."""
    numbers = np.full(len(nodes), -1, np.int64)
    recent = np.full((1 << _RECENT_BITS, 2), _NO_COLOR, np.uint32)
    count = np.int64(0)
    for index in range(len(packed)):
        color = packed[index]
        place = np.uint64(
            (color * np.uint64(_HASH) >> np.uint64(32 - _RECENT_BITS)) & np.uint64((1 << _RECENT_BITS) - 1)
        )
        if recent[place, 0] != color:
            node = np.int64(0)
            while nodes[node, 2]:
                value = np.int64((color >> np.uint32(nodes[node, 0])) & np.uint32(255))
                node = nodes[node, 2] if value <= nodes[node, 1] else nodes[node, 3]
            if numbers[node] < 0:
                numbers[node] = count
                count += 1
            recent[place, 0], recent[place, 1] = color, numbers[node]
        leaf = np.int64(recent[place, 1])
        out[index] = leaf
        sums[leaf, 0] += np.int64(color >> np.uint32(16))
        sums[leaf, 1] += np.int64((color >> np.uint32(8)) & np.uint32(255))
        sums[leaf, 2] += np.int64(color & np.uint32(255))
        sums[leaf, 3] += 1
    return count
