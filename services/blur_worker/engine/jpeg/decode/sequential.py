"""Blocks of sequential scans (T.81, F.2.2), and of first scans of DC coefficients (G.1.2.1), which have no others.

What keeps indices in range: see `scan`.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import READY, extend, peek, receive
from services.blur_worker.engine.jpeg.decode.clamped_blocks import clamp_block
from services.blur_worker.engine.jpeg.decode.huffman import END_OF_BLOCK, LOOK, MANY, SKIP, decode
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

    Of `word` so many bits are `ready`. Also return what the coefficients add to any sample at most.
    """
    last = component.last[kind]
    reach = np.float32(0)
    k = np.int64(1)
    while k < 64:
        if ready < SKIP:
            word, ready = peek(data, position), np.int64(READY)
        if k > last:
            skip = np.int64(table.skips[word >> np.uint64(64 - SKIP)])
            # What leaves the block belongs to the next one.
            if skip and k + (skip >> 4 & 63) < 64:
                used = skip & 15
                k += skip >> 4 & 0xFF
                total = (skip >> 12) + (np.int64(skip >> 12 == MANY) << 12)
                reach += total * component.most_reach[np.uint64(k & 63)]
                position += used
                word <<= np.uint64(used)
                ready -= used
                continue
        entry = np.int64(table.values[word >> np.uint64(64 - LOOK)])
        if entry:
            k += (entry >> 8) & 0xFF
            value = entry >> 16
        else:
            if ready < 31:
                word, ready = peek(data, position), np.int64(READY)
            entry = decode(table, word)
            run, size = entry >> 12, (entry >> 8) & 15
            if entry < 0 or (size == 0 and 0 < run < 15):
                return np.int64(WRONG_CODE), reach
            k += run if entry >> 8 else np.int64(END_OF_BLOCK)
            value = extend(receive(word, entry & 0xFF, size), size) if size else np.int64(0)
        used = entry & 0xFF
        position += used
        word <<= np.uint64(used)
        ready -= used
        if k > 63:
            break
        target = component.targets[np.uint64(kind), np.uint64(k)]
        # Without a branch, which would be predicted wrong too often.
        place = base + target if target >= 0 else component.nowhere
        out[np.uint64(place)] = value * component.factors[np.uint64(k)]
        reach += abs(value) * component.reach[np.uint64(k)]
        k += 1
    # The end of a block takes k beyond 127; a run that leaves the block does not.
    return (position if k == 64 or k > 127 else np.int64(TOO_MUCH)), reach


@compiled(nrt=False)
def _clamp(
    data: NDArray[np.uint8],
    position: int,
    word: np.uint64,
    ready: int,
    component: np.record,
    table: np.record,
    dc: np.int64,
    base: int,
    out: NDArray[np.float32],
) -> None:
    """Decode a block once more, whole, and correct it if samples leave what can be shown."""
    for index in range(64):
        out[np.uint64(component.whole + index)] = 0
    out[np.uint64(component.whole)] = dc * component.factors[0]
    _, reach = _decode_ac(data, position, word, ready, component, table, BORDER, component.whole, out)
    if abs(dc) * component.reach[0] + reach > component.highest:
        clamp_block(component, component.whole, base, out)


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
    out[np.uint64(base)] = value * component.factors[0]
    if scan.se:
        word, ready = word << np.uint64(used), READY - used
        ac_table = tables[component.ta]
        end, reach = _decode_ac(data, position, word, ready, component, ac_table, kind, base, out)
        if kind == KEPT and abs(value) * component.reach[0] + reach > component.highest and end > 0:
            _clamp(data, position, word, ready, component, ac_table, value, base, out)
        return end
    # Larger ones have no place in what libjpeg keeps from scan to scan.
    return position if abs(value) < 1 << 15 else np.int64(WRONG_CODE)
