"""The compiled encoder of a baseline scan (T.81, F.1.2): quantized coefficients become entropy-coded data.

What keeps indices in range: `room_for` bounds the bytes of rows; coefficients are limited to those
that have a code; the rest are sizes of arrays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiled
from services.blur_worker.engine.jpeg.encode.huffman import CODES, NEAR
from services.blur_worker.engine.jpeg.vectors import VECTOR, lowest_bit, no_bits, store, with_bit

LARGEST = 1023
"""A quantized coefficient beyond has no code (table F.2)."""
_LONGEST_BLOCK = 64 * 26 // 8 * 2 + 16

ENCODED_COMPONENT = np.dtype(
    [
        *((name, "i8") for name in ("h", "v")),  # sampling factors
        *((name, "i8") for name in ("columns", "rows")),  # of blocks; those beyond are written as flat continuations
        ("pred", "i8"),  # the last DC coefficient
        ("row_step", "i8"),  # from one row of blocks to the next
        ("begins", "u8", 64),  # by k, in zig-zag order: where the coefficients of the first row of blocks begin
        ("nonzero", "i8", 64),  # the k of AC coefficients that may be other than 0, and how many they are
        ("count", "i8"),
        ("dc_codes", "u8", 16),
        ("ac_codes", "u8", CODES),
    ],
    align=True,
)
"""What the encoder gets to know of a component."""
BIT_WRITER = np.dtype([("bits", "u8"), ("count", "u8"), ("written", "u8")])
"""The last `count` of `bits` are not written yet; `written` bytes are."""

_SIZES = np.array([value.bit_length() for value in range(2048)])
Bits = tuple[np.uint64, np.uint64, np.uint64]
"""The fields of a BIT_WRITER."""


def room_for(blocks: int) -> int:
    """Bytes that so many blocks may take at most: 26 bits for each coefficient, each byte stuffed."""
    return blocks * _LONGEST_BLOCK + 64


@compiled(inline=True, nrt=False)
def append(out: NDArray[np.uint8], bits: np.uint64, count: np.uint64, written: np.uint64, code: np.uint64) -> Bits:
    """Append a code, `bits << 8 | length`, of at most 32 bits."""
    length, value = code & np.uint64(0xFF), code >> np.uint64(8)
    if count + length <= np.uint64(64):
        return bits << length | value, count + length, written
    left = count + length - np.uint64(64)
    return value, left, _write(out, bits << (length - left) | value >> left, written)


@compiled(inline=True, nrt=False)
def _write(out: NDArray[np.uint8], word: np.uint64, written: np.uint64) -> np.uint64:
    """Write eight bytes, a 0 behind each that is 0xFF (B.1.1.5); return how many bytes are written then."""
    # Whether none of them is.
    if (~word - np.uint64(0x0101010101010101)) & word & np.uint64(0x8080808080808080) == np.uint64(0):
        for index in range(8):
            out[written + np.uint64(index)] = np.uint8((word >> np.uint64(56 - 8 * index)) & np.uint64(0xFF))
        return written + np.uint64(8)
    for index in range(8):
        byte = np.uint8((word >> np.uint64(56 - 8 * index)) & np.uint64(0xFF))
        out[written] = byte
        written += np.uint64(1)
        if byte == np.uint8(0xFF):
            out[written] = np.uint8(0)
            written += np.uint64(1)
    return written


@compiled(nrt=False)
def _with_value(code: np.uint64, value: int, size: np.uint64) -> np.uint64:
    """Append to a code the bits of the value, of one's complement where it is negative (F.1.2.1.1)."""
    low = np.uint64(value + (value >> 63)) & ((np.uint64(1) << size) - np.uint64(1))
    return ((code >> np.uint64(8) << size | low) << np.uint64(8)) | ((code & np.uint64(0xFF)) + size)


@compiled(inline=True, nrt=False)
def encode_block(
    coefficients: NDArray[Any],
    component: np.record,
    dc: int,
    at: np.uint64,
    nonzero: np.uint64,
    state: Bits,
    out: NDArray[np.uint8],
) -> Bits:
    """Encode a DC difference (F.1.2.1) and AC coefficients (F.1.2.2).

    Args:
        coefficients: See `encode_rows`.
        component: The block's.
        dc: Its DC coefficient.
        at: Where the block is, from where the component's begin.
        nonzero: Which AC coefficients are not 0, as bits.
        state: Of the writer.
        out: Takes the bytes.
    """
    bits, count, written = state
    difference = dc - component.pred
    component.pred = dc
    size = np.uint64(_SIZES[abs(difference)])
    code = _with_value(component.dc_codes[size], difference, size)
    bits, count, written = append(out, bits, count, written, code)
    before = np.uint64(0)
    while nonzero:
        k = lowest_bit(nonzero)
        nonzero &= nonzero - np.uint64(1)
        run = k - before - np.uint64(1)
        before = k
        value = np.int64(coefficients[component.begins[k] + at])
        while run > np.uint64(15):
            bits, count, written = append(out, bits, count, written, component.ac_codes[0xF0])
            run -= np.uint64(16)
        if -NEAR <= value < NEAR:
            # Symbol and value in one.
            code = component.ac_codes[np.uint64(256) + run * np.uint64(2 * NEAR) + np.uint64(value + NEAR)]
        else:
            size = np.uint64(_SIZES[abs(value)])
            code = _with_value(component.ac_codes[run << np.uint64(4) | size], value, size)
        bits, count, written = append(out, bits, count, written, code)
    if before < np.uint64(63):
        bits, count, written = append(out, bits, count, written, component.ac_codes[0])
    return bits, count, written


@compiled(nrt=False)
def _mark_nonzero(
    coefficients: NDArray[np.int16], component: np.record, y: int, marks: NDArray[np.uint64], first: np.int64
) -> None:
    """Mark, from `first` on, which AC coefficients of each block of a row are not 0."""
    count = component.count if y < component.rows else np.int64(0)
    if component.columns < VECTOR:
        for x in range(component.columns):
            mark = np.uint64(0)
            for index in range(count):
                k = np.uint64(component.nonzero[index])
                at = component.begins[k] + np.uint64(y * component.row_step + x)
                mark |= np.uint64(coefficients[at] != 0) << k
            marks[np.uint64(first + x)] = mark
        return
    for begin in range(0, component.columns, VECTOR):
        # The last ones overlap those before them.
        x, found = min(begin, component.columns - VECTOR), no_bits()
        for index in range(count):
            k = np.uint64(component.nonzero[index])
            at = component.begins[k] + np.uint64(y * component.row_step + x)
            found = with_bit(found, coefficients, at, k)
        store(found, marks, first + x)


@compiled(
    "void(int16[::1], Components, int64, int64, Writer, uint64[::1], uint8[::1])",
    types={"Components": np.zeros(1, ENCODED_COMPONENT), "Writer": np.zeros(1, BIT_WRITER)},
    nrt=False,
)
def encode_rows(
    coefficients: NDArray[np.int16],
    components: NDArray[np.void],
    mcu_rows: int,
    mcu_columns: int,
    writers: NDArray[np.void],
    marks: NDArray[np.uint64],
    out: NDArray[np.uint8],
) -> None:
    """Encode rows of MCUs.

    Args:
        coefficients: For each component (rows of blocks, coefficients, columns of blocks), one after the other.
        components: ENCODED_COMPONENT records.
        mcu_rows: Rows to encode.
        mcu_columns: MCUs in a row.
        writers: A BIT_WRITER.
        marks: Room for as many numbers as there are blocks in a row of MCUs.
        out: Takes the bytes; has room.
    """
    writer = writers[0]
    state = (writer.bits, writer.count, writer.written)
    for row in range(mcu_rows):
        first = np.int64(0)
        for index in range(len(components)):
            component = components[index]
            for v in range(component.v):
                _mark_nonzero(coefficients, component, row * component.v + v, marks, first)
                first += component.columns
        for column in range(mcu_columns):
            first = np.int64(0)
            for index in range(len(components)):
                component = components[index]
                for v in range(component.v):
                    y = row * component.v + v
                    for h in range(component.h):
                        x = column * component.h + h
                        dc, at, nonzero = component.pred, np.uint64(0), np.uint64(0)
                        if x < component.columns and y < component.rows:
                            at = np.uint64(y * component.row_step + x)
                            dc = np.int64(coefficients[component.begins[0] + at])
                            nonzero = marks[np.uint64(first + x)]
                        state = encode_block(coefficients, component, dc, at, nonzero, state, out)
                    first += component.columns
    writer.bits, writer.count, writer.written = state
