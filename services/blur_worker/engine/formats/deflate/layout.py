"""What the compiled loops of Deflate know of a block, and its alphabet (RFC 1951, 3.2.5)."""

import numpy as np
from numpy.typing import NDArray

SYMBOLS, END_OF_BLOCK, FIRST_LENGTH = 286, 256, 257
MOST = 258
"""The longest match. Those of three bytes, which hardly ever save a bit, are not looked for."""

BLOCK_WRITER = np.dtype(
    [
        ("bits", "u8"),  # the last `count` bits, which are not written yet, and where in the output the next ones go
        ("count", "u8"),
        ("written", "u8"),
        ("distance", "i8"),  # of matches: bytes of a pixel, 1 to 4
        ("matches", "i8"),
        ("counts", "i8", SYMBOLS),
        ("quarters", "i8", (4, 256)),  # counts of bytes by their place modulo 4: one alone would wait for itself
        ("order", "i8", SYMBOLS),
        ("depths", "i8", SYMBOLS),
        ("lengths", "i8", SYMBOLS),  # of codes; before a block, what they cost in the block before
        ("codes", "u8", SYMBOLS),  # bits << 8 | length; the first bit is the lowest
        ("next_codes", "i8", 16),
    ],
    align=True,
)


def _length_tables() -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]:
    """By length of a match: its symbol, its extra bits and how many they are (3.2.5)."""
    symbols, extra = np.zeros(MOST + 1, np.int64), np.zeros((2, MOST + 1), np.uint64)
    length = 3
    for symbol in range(28):
        count = max(0, symbol // 4 - 1)
        for value in range(1 << count):
            symbols[length], extra[0, length], extra[1, length] = FIRST_LENGTH + symbol, value, count
            length = min(length + 1, MOST)
    symbols[MOST], extra[:, MOST] = SYMBOLS - 1, 0
    return symbols, extra[0].copy(), extra[1].copy()


LENGTH_SYMBOLS, EXTRA_BITS, EXTRA_COUNTS = _length_tables()
