"""Blocks of Deflate (RFC 1951, 3.2) in compiled loops: Huffman codes, and runs in which pixels repeat.

What keeps indices in range: `room_for` bounds the bytes of a block, and matches lie within the data.
"""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.formats.deflate.code_lengths import LONGEST, find_code_lengths
from services.blur_worker.engine.formats.deflate.layout import (
    BLOCK_WRITER,
    END_OF_BLOCK,
    EXTRA_BITS,
    EXTRA_COUNTS,
    LENGTH_SYMBOLS,
    SYMBOLS,
)
from services.blur_worker.engine.formats.deflate.matches import count_symbols

_COST_OF_RARE_BYTE, _COST_OF_RARE_LENGTH = LONGEST, 10
_State = tuple[np.uint64, np.uint64, np.uint64]
_Bytes = NDArray[np.uint8]
_Matches = NDArray[np.int64]


def room_for(size: int) -> int:
    """Bytes that a block of so many bytes may take at most."""
    return size * LONGEST // 8 + 512


@compiled(nrt=False)
def _make_codes(writer: np.record) -> None:
    """Number the codes of each length (3.2.2), which are written from their highest bit on."""
    for length in range(16):
        writer.next_codes[length] = 0
    for symbol in range(SYMBOLS):
        writer.next_codes[writer.lengths[symbol]] += 1
    code = before = np.int64(0)
    for length in range(1, 16):
        code = (code + before) << 1
        before = writer.next_codes[length]
        writer.next_codes[length] = code
    for symbol in range(SYMBOLS):
        length = writer.lengths[symbol]
        code = writer.next_codes[length]
        writer.next_codes[length] += 1
        upside_down = np.uint64(0)
        for bit in range(length):
            upside_down = upside_down << np.uint64(1) | np.uint64(code >> bit & 1)
        writer.codes[symbol] = upside_down << np.uint64(8) | np.uint64(length)


@compiled(inline=True, nrt=False)
def _append(state: _State, bits: np.uint64, count: np.uint64) -> _State:
    return state[0] | bits << state[1], state[1] + count, state[2]


@compiled(inline=True, nrt=False)
def _append_code(state: _State, code: np.uint64) -> _State:
    return state[0] | code >> np.uint64(8) << state[1], state[1] + (code & np.uint64(0xFF)), state[2]


@compiled(inline=True, nrt=False)
def _write(state: _State, out: _Bytes) -> _State:
    """Write whole bytes; up to 7 bits are left, so that 56 more fit."""
    bits, count, at = state
    for index in range(8):
        out[at + np.uint64(index)] = np.uint8(bits >> np.uint64(8 * index) & np.uint64(0xFF))
    whole = count >> np.uint64(3)
    return bits >> (whole << np.uint64(3)), count & np.uint64(7), at + whole


@compiled(inline=True, nrt=False)
def _write_header(state: _State, writer: np.record, out: _Bytes) -> _State:
    """Write the lengths of all codes, as four bits each (3.2.7)."""
    distances = np.uint64(writer.distance)  # up to that of a pixel, which alone has a code
    header = np.uint64(2) << np.uint64(1) | np.uint64(SYMBOLS - 257) << np.uint64(3)
    header |= (distances - np.uint64(1)) << np.uint64(8) | np.uint64(15) << np.uint64(13)
    state = _write(_append(state, header, np.uint64(17)), out)
    for index in range(19):  # those of repetitions, which come first, have none
        state = _write(_append(state, np.uint64(4 if index >= 3 else 0), np.uint64(3)), out)
    for symbol in range(SYMBOLS + writer.distance):
        last = np.int64(symbol == SYMBOLS + writer.distance - 1)
        length = writer.lengths[symbol] if symbol < SYMBOLS else last
        upside_down = (length & 1) << 3 | (length & 2) << 1 | (length & 4) >> 1 | (length & 8) >> 3
        state = _write(_append(state, np.uint64(upside_down), np.uint64(4)), out)
    return state


@compiled(inline=True, nrt=False)
def _write_symbols(state: _State, data: _Bytes, matches: _Matches, writer: np.record, out: _Bytes) -> _State:
    at = np.uint64(0)
    for index in range(writer.matches + 1):
        stop = np.uint64(matches[index, 0] if index < writer.matches else len(data))
        while at + np.uint64(4) <= stop:
            for ahead in range(4):
                state = _append_code(state, writer.codes[np.uint64(data[at + np.uint64(ahead)])])
            state = _write(state, out)
            at += np.uint64(4)
        while at < stop:
            state = _write(_append_code(state, writer.codes[np.uint64(data[at])]), out)
            at += np.uint64(1)
        if index < writer.matches:
            length = np.uint64(matches[index, 1])
            state = _append_code(state, writer.codes[LENGTH_SYMBOLS[length]])
            # The code of the only distance is one bit, a 0.
            state = _append(state, EXTRA_BITS[length], EXTRA_COUNTS[length] + np.uint64(1))
            state = _write(state, out)
            at += length
    return _write(_append_code(state, writer.codes[END_OF_BLOCK]), out)


@compiled(
    "void(Array(uint8, 1, 'C', readonly=True), Writers, int64[:, ::1], uint8[::1])",
    types={"Writers": np.zeros(1, BLOCK_WRITER)},
    nrt=False,
)
def write_block(data: _Bytes, writers: NDArray[np.void], matches: _Matches, out: _Bytes) -> None:
    """Compress data as one block, which is not the last one.

    Args:
        data: At least one byte.
        writers: A BLOCK_WRITER, as it is after the block before.
        matches: Room: shape (a quarter of the bytes, 2), for where each begins and its length.
        out: Takes the bytes; has room.
    """
    writer = writers[0]
    count_symbols(data, writer, matches)
    find_code_lengths(writer.counts, writer.order, writer.depths, writer.lengths)
    _make_codes(writer)
    state = (writer.bits, writer.count, np.uint64(0))
    state = _write_header(state, writer, out)
    state = _write_symbols(state, data, matches, writer, out)
    writer.bits, writer.count, writer.written = state
    for symbol in range(SYMBOLS):
        if writer.lengths[symbol] == 0:
            writer.lengths[symbol] = _COST_OF_RARE_BYTE if symbol < END_OF_BLOCK else _COST_OF_RARE_LENGTH
