"""Blocks of progressive scans: refined DC coefficients, and bands of AC coefficients (T.81, G.1.2).

What keeps indices in range: see `scan`; a block takes at most 63 codes with what follows them, and one bit for each
coefficient; what is put into the output lies within the band.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.decode.bits import READY, extend, peek, receive
from services.blur_worker.engine.jpeg.decode.huffman import decode
from services.blur_worker.engine.jpeg.decode.layout import ENDS_EARLY, TOO_MUCH, WRONG_CODE, decoded_place

_ONE = np.uint64(1)


@compiled(inline=True, nrt=False)
def decode_ac_first(
    data: NDArray[np.uint8],
    position: int,
    scan: np.record,
    component: np.record,
    table: np.record,
    kind: int,
    base: int,
    nonzero: NDArray[np.uint64],
    block: int,
    eob_run: int,
    out: NDArray[np.float32],
) -> tuple[np.int64, np.int64]:
    """Decode all but the last `al` bits of a band (G.1.2.2); return the next position.

    `nonzero` takes for each block of the plane which of its coefficients are not 0, as bits.
    """
    k, se, al = scan.ss, scan.se, scan.al
    found, word, ready = np.uint64(0), np.uint64(0), np.int64(0)
    while k <= se:
        if ready < 31:
            word, ready = peek(data, position), np.int64(READY)
        entry = decode(table, word)
        if entry < 0:
            return np.int64(WRONG_CODE), eob_run
        run, size, used = entry >> 12, (entry >> 8) & 15, entry & 0xFF
        position += used
        if size == 0 and run < 15:
            eob_run = (np.int64(1) << run) + (receive(word, used, run) if run else np.int64(0)) - 1
            break
        k += run
        if size:
            if k > se or size + al > 15:
                return np.int64(WRONG_CODE), eob_run
            found |= _ONE << np.uint64(k)
            target = component.targets[kind, k]
            if target >= 0:
                out[base + target] = (extend(receive(word, used, size), size) << al) * component.factors[k]
        k += 1
        word <<= np.uint64(used)
        ready -= used
    nonzero[block] |= found
    return position if k <= se + 1 else np.int64(TOO_MUCH), eob_run


@compiled(nrt=False)
def _count(bits: np.uint64) -> np.uint64:
    """How many are set: in this form it becomes one instruction."""
    bits -= (bits >> _ONE) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (bits * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled(nrt=False)
def _correct(
    data: NDArray[np.uint8],
    position: int,
    passed: np.uint64,
    al: int,
    component: np.record,
    kind: int,
    base: int,
    out: NDArray[np.float32],
) -> None:
    """Add the bits at the position, one for each coefficient that is `passed`, to those that are wanted."""
    left = passed & component.wanted[kind]
    while left:
        lowest = left & (~left + _ONE)
        left ^= lowest
        bit = np.uint64(position) + _count(passed & (lowest - _ONE))
        if (np.uint64(data[bit >> np.uint64(3)]) << (bit & np.uint64(7))) & np.uint64(128):
            k = _count(lowest - _ONE)
            place = base + component.targets[kind, k]
            step = abs(component.factors[k]) * np.float32(np.int64(1) << al)
            out[place] += step if out[place] > 0 else -step


@compiled(inline=True, nrt=False)
def decode_ac_refinement(
    data: NDArray[np.uint8],
    position: int,
    scan: np.record,
    component: np.record,
    table: np.record,
    kind: int,
    base: int,
    nonzero: NDArray[np.uint64],
    block: int,
    eob_run: int,
    out: NDArray[np.float32],
) -> tuple[np.int64, np.int64]:
    """Decode one more bit of a band (G.1.2.3): a code for those that were 0, for others the bit as it is."""
    al = scan.al
    # Those of the band that are still ahead, by whether they were 0.
    known = nonzero[block] & scan.band
    zeros = known ^ scan.band
    wanted = component.wanted[kind]
    found, word, ready = np.uint64(0), np.uint64(0), np.int64(0)
    while eob_run == 0 and known | zeros:
        if ready < 31:
            word, ready = peek(data, position), np.int64(READY)
        entry = decode(table, word)
        run, size, used = entry >> 12, (entry >> 8) & 15, entry & 0xFF
        if entry < 0 or size > 1:
            return np.int64(WRONG_CODE), eob_run
        position += used
        if size == 0 and run < 15:
            eob_run = (np.int64(1) << run) + (receive(word, used, run) if run else np.int64(0))
            break
        # Most runs are short: without a branch, which would be predicted wrong too often.
        after = zeros & (zeros - _ONE)
        zeros = after if run & 1 else zeros
        after = zeros & (zeros - _ONE)
        after &= after - _ONE
        zeros = after if run & 2 else zeros
        for _ in range(run & 12):
            zeros &= zeros - _ONE
        if zeros == np.uint64(0):
            return np.int64(TOO_MUCH), eob_run
        new = zeros & (~zeros + _ONE)
        zeros ^= new
        passed = known & (new - _ONE)
        _correct(data, position, passed, al, component, kind, base, out)
        bits = np.int64(_count(passed))
        position += bits
        known ^= passed
        if size:
            found |= new
            if new & wanted:
                k = _count(new - _ONE)
                sign = np.float32(2 * receive(word, used, np.int64(1)) - 1)
                out[base + component.targets[kind, k]] = sign * np.float32(np.int64(1) << al) * component.factors[k]
        word <<= np.uint64(used + bits)  # by 64 or more: then none are ready
        ready -= used + bits
    if eob_run:
        _correct(data, position, known, al, component, kind, base, out)
        position += np.int64(_count(known))
        eob_run -= 1
    nonzero[block] |= found
    return position, eob_run


@compiled(inline=True, nrt=False)
def decode_ac_interval(
    data: NDArray[np.uint8],
    position: int,
    end: int,
    blocks: range,
    scan: np.record,
    component: np.record,
    table: np.record,
    nonzero: NDArray[np.uint64],
    out: NDArray[np.float32],
) -> np.int64:
    """Decode the blocks of one restart interval; return the next position, or an error below 0."""
    eob_run = np.int64(0)
    refines, band, columns = scan.ah > 0, scan.band, component.columns
    for block in blocks:
        if eob_run and (not refines or nonzero[block] & band == 0):
            eob_run -= 1
            continue
        kind, base = decoded_place(component, block // columns, block % columns)
        if refines:
            position, eob_run = decode_ac_refinement(
                data, position, scan, component, table, kind, base, nonzero, block, eob_run, out
            )
        else:
            position, eob_run = decode_ac_first(
                data, position, scan, component, table, kind, base, nonzero, block, eob_run, out
            )
        if position < 0:
            return position
        if position > end:
            return np.int64(ENDS_EARLY)
    return position if eob_run == 0 else np.int64(TOO_MUCH)
