"""Finer divisors for a file that was quantized so coarsely that a colour could not be drawn in it.

Every block keeps its samples exactly: where a divisor becomes a fraction of itself, the coefficients become as many
times what they were.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable

_LEVELS = 3
_OF_CHROMA = 1.772
"""What blue is off for a level of Cb."""
_FINE = 4
_LARGEST = 1023


def are_coarse(tables: Sequence[QuantizationTable]) -> bool:
    """Return whether colours would be off by more than 3 levels."""
    # A DC coefficient is eight times the mean of its block, and is off by half its divisor at most.
    off = [int(table[0]) / 16 for table in tables]
    return off[0] + _OF_CHROMA * max(off[1:], default=0) > _LEVELS


def finer_tables(
    blocks: Sequence[NDArray[np.float32]], tables: Sequence[QuantizationTable]
) -> tuple[QuantizationTable, ...]:
    """Return tables in which colours are right to 3 levels; the blocks are adapted in place.

    Args:
        blocks: Of each component (rows, 64, columns): its coefficients, row by row of a block.
        tables: Of each component; the same ones are returned if none is coarse.
    """
    if not are_coarse(tables):
        return tuple(tables)
    finer = []
    for plane, table in zip(blocks, tables, strict=True):
        largest = np.maximum(np.abs(plane).max(axis=(0, 2)), 1)
        factors = np.array(
            [_factor(int(table[FROM_ZIGZAG[place]]), float(largest[place])) for place in range(64)], np.float32
        )
        np.multiply(plane, factors[:, np.newaxis], out=plane)
        divisors = table.copy()
        divisors[FROM_ZIGZAG] = table[FROM_ZIGZAG] // factors.astype(np.uint16)
        finer.append(divisors)
    return tuple(finer)


def _factor(divisor: int, largest: float) -> int:
    """Return the least factor of a divisor that makes it fine, or else the largest for which there are codes."""
    possible = [factor for factor in range(1, divisor + 1) if divisor % factor == 0 and factor * largest <= _LARGEST]
    return next((factor for factor in possible if divisor // factor <= _FINE), possible[-1] if possible else 1)
