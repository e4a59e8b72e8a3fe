"""The samples of a page: strips and tiles, decompressed, unpacked and put together."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.formats.tiff_reader.decompress import decompress
from services.blur_worker.engine.formats.tiff_reader.directory import Directory, Tag
from services.blur_worker.engine.formats.tiff_reader.layout import Layout
from services.blur_worker.engine.raster import Samples

_REVERSED_FILL_ORDER = 2
_ROWS_AT_ONCE = 64


def read_samples(data: bytes, page: Directory, layout: Layout) -> Samples:
    """Return all samples as stored: shape (height, width, samples), uint8 or uint16.

    Raises:
        ValueError: The page is damaged, or the compressed data.
    """
    width, height = page.size
    samples: Samples = np.empty((height, width, layout.samples), np.uint8 if layout.bits <= 8 else np.uint16)
    step = 1 if layout.separate else layout.samples
    planes = [samples[..., index : index + step] for index in range(0, layout.samples, step)]
    parts = _parts(data, page)
    for plane in planes:
        _read_plane(parts, plane, page, layout)
    return samples


def _parts(data: bytes, page: Directory) -> Iterator[bytes]:
    """Yield the compressed data of each strip or tile."""
    tiled = page.tile is not None
    offsets = page.numbers(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS) or page.numbers(Tag.STRIP_OFFSETS)
    counts = page.numbers(Tag.TILE_BYTE_COUNTS if tiled else Tag.STRIP_BYTE_COUNTS)
    counts = counts or page.numbers(Tag.STRIP_BYTE_COUNTS) or (len(data),) * len(offsets)
    for offset, count in zip(offsets, counts, strict=True):
        yield data[offset : offset + count]
    raise ValueError("strips are missing")


def _read_plane(parts: Iterator[bytes], plane: Samples, page: Directory, layout: Layout) -> None:
    height, width, channels = plane.shape
    reverse = page.number(Tag.FILL_ORDER, 1) == _REVERSED_FILL_ORDER
    if page.tile:
        across, down = page.tile
    else:
        across, down = width, min(page.number(Tag.ROWS_PER_STRIP, height) or height, height)
    for top in range(0, height, down):
        rows = down if page.tile else min(down, height - top)
        for left in range(0, width, across):
            size = _bytes_of(layout, rows, across, channels)
            packed = decompress(next(parts), layout.compression, size, reverse_bits=reverse)
            target = plane[top : top + rows, left : left + across]
            for first, some in _unpacked(packed, layout, page.order, rows, across, channels):
                part = target[first : first + len(some)]
                part[:] = some[: part.shape[0], : part.shape[1]]


def _bytes_of(layout: Layout, rows: int, columns: int, channels: int) -> int:
    across, down = layout.subsampling
    if (across, down) != (1, 1):
        return -(-rows // down) * -(-columns // across) * (across * down + 2)
    return rows * -(-columns * channels * layout.bits // 8)


def _unpacked(
    packed: NDArray[np.uint8], layout: Layout, order: str, rows: int, columns: int, channels: int
) -> Iterator[tuple[int, Samples]]:
    """Yield some rows at a time, and the first of them."""
    across, down = layout.subsampling
    if (across, down) != (1, 1):
        yield 0, _full_chroma(packed, across, down, -(-rows // down), -(-columns // across))
        return
    if layout.bits in {8, 16}:
        samples = packed.view(f"{order}u{layout.bits // 8}").reshape(rows, columns, channels)
        if layout.differencing:
            samples = np.cumsum(samples, axis=1, dtype=f"u{layout.bits // 8}")
        yield 0, samples
        return
    length = len(packed) // rows
    weights = (1 << np.arange(layout.bits - 1, -1, -1)).astype(np.uint16)
    for first in range(0, rows, _ROWS_AT_ONCE):
        some = packed.reshape(rows, length)[first : first + _ROWS_AT_ONCE]
        bits = np.unpackbits(some, axis=1)[:, : columns * channels * layout.bits]
        yield first, (bits.reshape(len(some), columns, channels, layout.bits) @ weights)


def _full_chroma(packed: NDArray[np.uint8], across: int, down: int, rows: int, columns: int) -> Samples:
    """Return Y, Cb and Cr of each pixel. A data unit has all Y of `across` × `down` pixels, Cb and Cr (section 21)."""
    units = packed.reshape(rows, columns, across * down + 2)
    samples = np.empty((rows * down, columns * across, 3), np.uint8)
    light = units[..., :-2].reshape(rows, columns, down, across).transpose(0, 2, 1, 3)
    samples[..., 0] = light.reshape(rows * down, columns * across)
    for channel in (1, 2):
        samples[..., channel] = np.repeat(np.repeat(units[..., channel - 3], down, axis=0), across, axis=1)
    return samples
