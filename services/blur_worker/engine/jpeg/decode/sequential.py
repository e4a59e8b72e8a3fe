"""Blocks of sequential scans (T.81, F.2.2), and of first scans of DC coefficients (G.1.2.1), which have no others.

What keeps indices in range: see `scan`.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import READY, extend, peek, receive
from services.blur_worker.engine.jpeg.decode.clamped_blocks import clamp_samples, shown
from services.blur_worker.engine.jpeg.decode.huffman import END_OF_BLOCK, LOOK, SKIP, decode
from services.blur_worker.engine.jpeg.decode.layout import BORDER, KEPT, TOO_MUCH, WRONG_CODE


@compiled(inline=True, nrt=False)
def _decode_ac(
    data: NDArray[np.uint8],
    position: int,
    word: np.uint64,
    ready: int,
    component: np.record,
    table: np.record,
    kind: int,
    base: int,
    out: NDArray[np.float32],
) -> tuple[np.int64, np.float32]:
    """Decode the AC coefficients of a block (F.2.2.2); behind the last that is wanted only its end is looked for.

    Of `word` so many bits are `ready`. Also return the sum of their magnitudes.
    """
    last = component.last[kind]
    total = np.float32(0)
    k = passed = np.int64(1)  # and above 8 bits, the sum of those that are skipped
    while k < 64:
        if ready < SKIP:
            word, ready = peek(data, position), np.int64(READY)
        if k > last:
            skip = np.int64(table.skips[word >> np.uint64(64 - SKIP)])
            # What leaves the block belongs to the next one.
            if skip and k + (skip >> 4 & 63) < 64:
                used = skip & 15
                passed += skip >> 4
                k = passed & 0xFF
                position += used
                word <<= np.uint64(used)
                ready -= used
                continue
        entry = np.int64(table.values[word >> np.uint64(64 - LOOK)])
        if entry:
            passed += (entry >> 8) & 0xFF
            value = entry >> 16
        else:
            if ready < 31:
                word, ready = peek(data, position), np.int64(READY)
            entry = decode(table, word)
            run, size = entry >> 12, (entry >> 8) & 15
            if entry < 0 or (size == 0 and 0 < run < 15):
                return np.int64(WRONG_CODE), total
            passed += run if entry >> 8 else np.int64(END_OF_BLOCK)
            value = extend(receive(word, entry & 0xFF, size), size) if size else np.int64(0)
        used = entry & 0xFF
        position += used
        word <<= np.uint64(used)
        ready -= used
        k = passed & 0xFF
        if k > 63:
            break
        target = component.targets[np.uint64(kind), np.uint64(k)]
        # Without a branch, which would be predicted wrong too often.
        place = base + target if target >= 0 else component.nowhere
        coefficient = value * component.factors[np.uint64(k)]
        out[np.uint64(place)] = coefficient
        total += abs(coefficient)
        passed += 1
        k += 1
    # The end of a block takes k beyond 127; a run that leaves the block does not.
    return (position if k == 64 or k > 127 else np.int64(TOO_MUCH)), total + (passed >> 8) * component.beyond


@compiled(nrt=False)
def _decode_whole(
    data: NDArray[np.uint8],
    position: int,
    word: np.uint64,
    ready: int,
    component: np.record,
    table: np.record,
    dc: np.float32,
    base: int,
    out: NDArray[np.float32],
) -> np.int64:
    """Decode all coefficients of a block, clamp its samples, and keep what is wanted; return the next position."""
    whole = component.whole
    for index in range(64):
        out[np.uint64(whole + index)] = 0
    out[np.uint64(whole)] = dc
    end, total = _decode_ac(data, position, word, ready, component, table, BORDER, whole, out)
    component.follows = np.int64(0)
    if total == 0:
        out[np.uint64(base)] = shown(dc)
        return end
    if _may_leave(component, dc, total):
        outside = clamp_samples(whole, component.wanted_rows, out)
        component.follows = component.often | np.int64(outside)
    for index in range(component.wanted_count):
        at = np.uint64(index)
        out[np.uint64(base + component.wanted_at[at])] = out[np.uint64(whole + component.wanted_of[at])]
    return end


@compiled(nrt=False)
def _may_leave(component: np.record, dc: np.float32, total: np.float32) -> bool:
    """Whether samples of a block may leave what can be shown, by the sum of what its AC coefficients are at most."""
    return total * component.share > component.highest - abs(dc * np.float32(0.125) + np.float32(0.5))


@compiled(inline=True, nrt=False)
def decode_block(
    data: NDArray[np.uint8],
    position: int,
    scan: np.record,
    component: np.record,
    tables: NDArray[np.void],
    kind: int,
    base: int,
    out: NDArray[np.float32],
) -> np.int64:
    """Decode a block; return the next position, or what is wrong."""
    table = tables[component.td]
    word = peek(data, position)
    entry = np.int64(table.values[word >> np.uint64(64 - LOOK)])
    if entry:
        component.pred += entry >> 16
    else:
        entry = decode(table, word)
        if entry < 0:
            return np.int64(WRONG_CODE)
        size = entry >> 8
        if size:
            component.pred += extend(receive(word, entry & 0xFF, size), size)
    used = entry & 0xFF
    position += used
    value = component.pred << scan.al
    dc = np.float32(value * component.factors[0])
    out[np.uint64(base)] = dc
    if scan.se:
        word, ready = word << np.uint64(used), READY - used
        ac_table = tables[component.ta]
        if kind != KEPT or not component.follows:
            end, total = _decode_ac(data, position, word, ready, component, ac_table, kind, base, out)
            if kind != KEPT or end < 0 or not _may_leave(component, dc, total):
                return end
            if total == 0:
                out[np.uint64(base)] = shown(dc)
                return end
        # Such blocks lie side by side: the next one is decoded only once.
        return _decode_whole(data, position, word, ready, component, ac_table, dc, base, out)
    # Larger ones have no place in what libjpeg keeps from scan to scan.
    return position if abs(value) < 1 << 15 else np.int64(WRONG_CODE)
