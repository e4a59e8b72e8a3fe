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
    stop: int
    core_start: int
    """Faces with their centre from here …"""
    core_stop: int
    """… to here are this tile's."""


def spans(length: int, side: int, margin: int) -> list[Span]:
    """Return spans of at most `side` pixels that cover a length, each `margin` beyond the cores of its neighbours."""
    if length <= side:
        return [Span(start=0, stop=length, core_start=0, core_stop=length)]
    count = -(-(length - 2 * margin) // (side - 2 * margin))
    # No longer than so many have to be.
    side = min(side, -(-(-(-(length - 2 * margin) // count) + 2 * margin) // MULTIPLE) * MULTIPLE)
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    cuts = [0, *((first + side + second) // 2 for first, second in pairwise(starts)), length]
    return [
        Span(start=start, stop=start + side, core_start=low, core_stop=high)
        for start, low, high in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[tuple[Span, Span]]:
    """Yield the rows and columns of tiles of at most `side` by `side` pixels that cover an image."""
    for rows in spans(height, side, margin):
        for columns in spans(width, side, margin):
            yield rows, columns


def around(places: NDArray[np.float32], tile: Span, length: int, reach: int) -> Span:
    """Return the part of a tile that holds some places of its core and what is within `reach` pixels of them."""
    start = max(tile.start, int(places.min()) - reach)
    # At once as long as the network needs, rather than black added to it.
    stop = start + -(-(int(places.max()) + reach - start) // MULTIPLE) * MULTIPLE
    stop = min(tile.stop, length, stop)
    return Span(start=start, stop=stop, core_start=max(start, tile.core_start), core_stop=min(stop, tile.core_stop))


def cut(pixels: NDArray[np.uint8], rows: Span, columns: Span) -> NDArray[np.uint8]:
    """Return a tile, with black added at the right and bottom up to a multiple that the network takes."""
    tile = pixels[rows.start : rows.stop, columns.start : columns.stop]
    height, width = tile.shape[:2]
    missing = (-height % MULTIPLE, -width % MULTIPLE)
    return np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0))) if any(missing) else tile
