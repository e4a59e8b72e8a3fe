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
    blocks: Sequence[NDArray[np.float32]], tables: Sequence[QuantizationTable], hidden: Sequence[NDArray[np.bool_]]
) -> tuple[Sequence[NDArray[np.float32]], tuple[QuantizationTable, ...]]:
    """Return blocks and tables in which colours are right to 3 levels.

    They depend only on what stays visible: a hidden block may end up with coefficients for which there are no codes.

    Args:
        blocks: Of each component (rows, 64, columns): its coefficients, row by row of a block.
        tables: Of each component; everything is returned as it is if none is coarse.
        hidden: Of each component (rows, columns): the blocks that are to be replaced.
    """
    if not are_coarse(tables):
        return blocks, tuple(tables)
    finer = [_finer(*each) for each in zip(blocks, tables, hidden, strict=True)]
    return [plane for plane, _ in finer], tuple(table for _, table in finer)


def _finer(
    plane: NDArray[np.float32], table: QuantizationTable, hidden: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], QuantizationTable]:
    largest = np.abs(plane).max(axis=(0, 2), where=~hidden[:, np.newaxis], initial=1)
    factors = np.array(
        [_factor(int(table[FROM_ZIGZAG[place]]), float(largest[place])) for place in range(64)], np.float32
    )
    divisors = table.copy()
    divisors[FROM_ZIGZAG] = table[FROM_ZIGZAG] // factors.astype(np.uint16)
    return plane * factors[:, np.newaxis], divisors


def _factor(divisor: int, largest: float) -> int:
    """Return the least factor of a divisor that makes it fine, or else the largest for which there are codes."""
    possible = [factor for factor in range(1, divisor + 1) if divisor % factor == 0 and factor * largest <= _LARGEST]
    return next((factor for factor in possible if divisor // factor <= _FINE), possible[-1] if possible else 1)
