"""Reads progressive scans that bring one more bit of a band of coefficients of one component.

What keeps indices in range: as in `ac_scans`.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg import scans
from services.blur_worker.engine.jpeg.aside import is_aside, place_of
from services.blur_worker.engine.jpeg.codes import LOOK, bits_behind, long_code
from services.blur_worker.engine.jpeg.stuffing import look

_ONE = np.uint64(1)


@compiled(uncounted=True)
def _count(bits: np.uint64) -> np.uint64:
    """How many are set: in this form it becomes one instruction."""
    bits -= (bits >> _ONE) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (bits * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled(inline=True, uncounted=True)
def _correct(
    data: NDArray[np.uint8],
    at: np.uint64,
    passed: np.uint64,
    own: np.uint64,
    unit: np.float32,
    factors: NDArray[np.float32],
    targets: NDArray[np.int64],
    which: np.int64,
    base: int,
    out: NDArray[np.float32],
) -> None:
    """Adds the bits at `at`, one for each coefficient that is `passed`, to those that are kept."""
    left = passed & own
    while left:
        lowest = left & (~left + _ONE)
        left ^= lowest
        bit = at + _count(passed & (lowest - _ONE))
        if (np.uint64(data[bit >> np.uint64(3)]) << (bit & np.uint64(7))) & np.uint64(128):
            index = _count(lowest - _ONE)
            place = base + targets[which, index]
            step = abs(factors[index]) * unit
            out[place] += step if out[place] > 0 else -step


@compiled(
    "int64(uint8[::1], int64[::1], int64, int64[::1], int32[::1], int64, int64, int64, float32[::1], int64[:, ::1],"
    " uint64[::1], float32[::1])",
    uncounted=True,
)
def read_refinement(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    interval: int,
    layout: NDArray[np.int64],
    table: NDArray[np.int32],
    first: int,
    last: int,
    low: int,
    factors: NDArray[np.float32],
    targets: NDArray[np.int64],
    present: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> int:
    """Reads a scan that brings one more bit of a band: for those that were 0 a code, for the others the bit as it is.

    Args:
        data: As in `ac_scans.read_first`, likewise the others.
        bounds: See there.
        interval: See there.
        layout: See there.
        table: See there.
        first: See there.
        last: See there.
        low: See there.
        factors: See there.
        targets: See there.
        present: See there.
        out: See there.

    Returns:
        OK, or what is wrong.
    """
    piece, left, blocks = 0, 0, np.int64(0)
    at, end = np.uint64(0), np.uint64(0)
    band = ((_ONE << np.uint64(last - first)) * np.uint64(2) - _ONE) << np.uint64(first)
    unit = np.float32(1 << low)
    inside, cut = np.uint64(0), np.uint64(0)
    for place in range(64):
        inside |= np.uint64(targets[0, place] >= 0) << np.uint64(place)
        cut |= np.uint64(targets[1, place] >= 0) << np.uint64(place)
    for y in range(layout[scans.ROWS]):
        for x in range(layout[scans.COLUMNS]):
            if left == 0:
                if blocks or (piece and at + np.uint64(7) < end):
                    return scans.TOO_MUCH
                if piece + 1 >= len(bounds):
                    return scans.WRONG_RESTART
                at, end = np.uint64(bounds[piece]) * np.uint64(8), np.uint64(bounds[piece + 1]) * np.uint64(8)
                left = interval
                piece += 1
            left -= 1
            block = np.uint64(y * layout[scans.COLUMNS] + x)
            # Those of the band that are still ahead, by whether they were 0.
            known = present[block] & band
            zeros = known ^ band
            if blocks and known == np.uint64(0):
                blocks -= 1
                continue
            which, base = np.int64(is_aside(layout, y, x)), place_of(layout, y, x)
            own, found = cut if which else inside, np.uint64(0)
            word, ready = np.uint64(0), np.int64(0)
            while blocks == 0 and known | zeros:
                if ready < 31:
                    word, ready = look(data, at >> np.uint64(3)) << (at & np.uint64(7)), np.int64(57)
                entry = np.int64(table[word >> np.uint64(64 - LOOK)])
                if entry == 0:
                    entry = long_code(table, word)
                    if entry < 0:
                        return scans.WRONG_CODE
                run, size, used = entry >> 12, (entry >> 8) & 15, np.uint64(entry & 0xFF)
                at += used
                if size > 1:
                    return scans.WRONG_CODE
                if size == 0 and run < 15:
                    blocks = np.int64(1) << run
                    if run:
                        blocks += bits_behind(word, used, run)
                    break
                # Most runs are short: without a branch, which would be guessed wrong too often.
                after = zeros & (zeros - _ONE)
                zeros = after if run & 1 else zeros
                after = zeros & (zeros - _ONE)
                after &= after - _ONE
                zeros = after if run & 2 else zeros
                for _ in range(run & 12):
                    zeros &= zeros - _ONE
                if zeros == np.uint64(0):
                    return scans.TOO_MUCH
                new = zeros & (~zeros + _ONE)
                zeros ^= new
                passed = known & (new - _ONE)
                if passed & own:
                    _correct(data, at, passed, own, unit, factors, targets, which, base, out)
                bits = _count(passed)
                at += bits
                known ^= passed
                if size:
                    found |= new
                    if new & own:
                        index = _count(new - _ONE)
                        sign = np.float32(2 * bits_behind(word, used, np.int64(1)) - 1)
                        out[base + targets[which, index]] = sign * unit * factors[index]
                word <<= used + bits  # by 64 or more: then none are ready
                ready -= np.int64(used + bits)
            if blocks:
                if known & own:
                    _correct(data, at, known, own, unit, factors, targets, which, base, out)
                at += _count(known)
                blocks -= 1
            present[block] |= found
            if at > end:
                return scans.ENDS_EARLY
    if blocks or at + np.uint64(7) < end:
        return scans.TOO_MUCH
    return scans.OK if piece + 1 == len(bounds) else scans.WRONG_RESTART
