"""Tiles that cover an image, small enough for the processor's cache and overlapping so that no face is cut by all."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.network import MULTIPLE


@dataclass(frozen=True, kw_only=True)
class Span:
    """One axis of a tile, in pixels of the image."""

    start: int
    core_start: int
    """Faces with their centre from here …"""
    core_stop: int
    """… to here are this tile's."""


def spans(length: int, side: int, margin: int) -> list[Span]:
    """Return spans of `side` pixels that cover a length, each `margin` beyond the cores of its neighbours."""
    if length <= side:
        return [Span(start=0, core_start=0, core_stop=length)]
    count = -(-(length - 2 * margin) // (side - 2 * margin))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    cuts = [0, *((first + side + second) // 2 for first, second in pairwise(starts)), length]
    return [
        Span(start=start, core_start=low, core_stop=high)
        for start, low, high in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[tuple[Span, Span]]:
    """Yield the rows and columns of tiles of at most `side` by `side` pixels that cover an image."""
    for rows in spans(height, side, margin):
        for columns in spans(width, side, margin):
            yield rows, columns


def cut(pixels: NDArray[np.uint8], rows: Span, columns: Span, side: int) -> NDArray[np.uint8]:
    """Return a tile, with black added at the right and bottom up to a multiple that the network takes."""
    tile = pixels[rows.start : rows.start + side, columns.start : columns.start + side]
    height, width = tile.shape[:2]
    missing = (-height % MULTIPLE, -width % MULTIPLE)
    return np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0))) if any(missing) else tile
