"""Decode PNG files: all colour types and depths, interlaced or not, still or animated.

Two to three times as fast as Pillow, with all 16 bits of colours, and with a few rows of memory beside the result.
"""

from collections.abc import Iterable

import numpy as np
from isal import isal_zlib

from services.blur_worker.engine.containers.png_chunks import MODES, PALETTE, ImageHeader
from services.blur_worker.engine.formats.png.compose import composed
from services.blur_worker.engine.formats.png.file import PngFile, PngFrame, parse
from services.blur_worker.engine.formats.png.filters import unfilter_rows
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.limits import check_size
from services.blur_worker.engine.raster import Raster, Samples

_CHUNK_BYTES_IN, _CHUNK_BYTES_OUT = 1 << 16, 1 << 18
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes of an interlaced image: first column, first row, step between columns, and step between rows of each."""


def read_png(png: bytes, request: ReadRequest) -> ReadFile:
    """Decode a file.

    Raises:
        ImageError: TOO_LARGE.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
        isal_zlib.error: The file is damaged.
    """
    file = parse(png, request.limits, keep_metadata=request.keep_metadata)
    size = file.header.width, file.header.height
    check_size(size, request.limits, len(file.frames))
    wanted = file.frames if request.all_frames else file.frames[:1]
    if file.frames[0].disposal == 2:  # there is nothing before the first frame
        file.frames[0].disposal = 1
    if len(wanted) == 1 and wanted[0].box == (0, 0, *size):
        frames = [Frame(_pixels(file, wanted[0]), wanted[0].milliseconds)]
    else:
        rasters = composed(((frame, _pixels(file, frame)) for frame in wanted), size)
        frames = [Frame(raster, frame.milliseconds) for raster, frame in zip(rasters, wanted, strict=True)]
    return ReadFile(frames=frames, described=file.described)


def _pixels(file: PngFile, frame: PngFrame) -> Raster:
    header, (left, top, right, bottom) = file.header, frame.box
    samples = _samples(header, _Inflater(frame.parts), bottom - top, right - left)
    if header.color_type == PALETTE:
        return _from_palette(samples, file.palette, file.transparent)
    raster = Raster(MODES[header.color_type], samples)
    if file.transparent is not None and not raster.has_alpha:
        # Of a sample of up to 8 bits the lower byte counts, as a whole: so Chromium reads it.
        mask = 0xFFFF if header.bits == 16 else 0xFF
        color = tuple(int(each) & mask for each in np.frombuffer(file.transparent[:6], ">u2")[: len(raster.mode)])
        if len(color) == len(raster.mode):
            raster = raster.with_transparent(color)
    if header.bits < 8:
        raster.samples[..., :1] *= 255 // mask_of(header.bits)
    return raster


def mask_of(bits: int) -> int:
    """Return the largest number of so many bits."""
    return (1 << bits) - 1


def _from_palette(indices: Samples, palette: bytes, transparent: bytes | None) -> Raster:
    """Look indices up; those beyond the palette have its last colour, as in Chromium."""
    if not palette:
        raise ValueError("no palette")
    channels = 3 if transparent is None else 4
    table = np.zeros((256, channels), np.uint8)
    colors = np.frombuffer(palette[: len(palette) // 3 * 3][:768], np.uint8).reshape(-1, 3)
    table[: len(colors), :3] = colors
    table[len(colors) :, :3] = colors[-1]
    if transparent is not None:
        table[:, 3] = 255
        table[: min(len(transparent), 256), 3] = np.frombuffer(transparent[:256], np.uint8)
        table[len(colors) :, 3] = table[len(colors) - 1, 3]
    return Raster("RGB" if channels == 3 else "RGBA", table[indices[..., 0]])


def _samples(header: ImageHeader, pixels: "_Inflater", height: int, width: int) -> Samples:
    """Return the samples as stored: shape (height, width, channels)."""
    channels = len(MODES[header.color_type])
    samples = np.empty((height, width, channels), f">u{max(header.bits // 8, 1)}")
    if not header.interlaced:
        _read_rows(pixels, samples, header.bits)
    for left, top, across, down in _ADAM7 if header.interlaced else ():
        part = samples[top::down, left::across]
        if part.size:
            rows = np.empty(part.shape, part.dtype)
            _read_rows(pixels, rows, header.bits)
            part[:] = rows
    if not samples.dtype.isnative:
        samples = samples.byteswap(inplace=True).view(samples.dtype.newbyteorder())
    return samples


def _read_rows(pixels: "_Inflater", samples: Samples, bits: int) -> None:
    height, width, channels = samples.shape
    if bits < 8:
        _read_packed_rows(pixels, samples, bits)
        return
    pixel_bytes = channels * samples.itemsize
    rows = samples.reshape(height, width * channels).view(np.uint8)
    length = rows.shape[1]
    above = np.zeros(length, np.uint8)
    rows_per_chunk = max(1, _CHUNK_BYTES_OUT // (1 + length))
    for first in range(0, height, rows_per_chunk):
        out = rows[first : first + rows_per_chunk]
        _unfiltered(pixels, above, pixel_bytes, out)
        above = out[-1]


def _read_packed_rows(pixels: "_Inflater", samples: Samples, bits: int) -> None:
    """Read rows in which a byte has several samples, the leftmost in its highest bits."""
    height, width, _ = samples.shape
    length, per_byte = -(-width * bits // 8), 8 // bits
    above = np.zeros(length, np.uint8)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    rows_per_chunk = max(1, _CHUNK_BYTES_OUT // (8 * length))
    for first in range(0, height, rows_per_chunk):
        out = samples[first : first + rows_per_chunk]
        packed = np.empty((len(out), length), np.uint8)
        _unfiltered(pixels, above, 1, packed)
        above = packed[-1]
        unpacked = (packed[..., np.newaxis] >> shifts) & np.uint8(mask_of(bits))
        out[..., 0] = unpacked.reshape(len(out), length * per_byte)[:, :width]


def _unfiltered(pixels: "_Inflater", above: Samples, step: int, out: Samples) -> None:
    length = out.shape[1]
    filtered = np.frombuffer(pixels.read(len(out) * (1 + length)), np.uint8).reshape(len(out), 1 + length)
    if not unfilter_rows(above, filtered, step, out):
        raise ValueError("unknown filter type")


class _Inflater:
    """Inflates a stream part by part, never more than is read."""

    def __init__(self, contents: Iterable[memoryview]) -> None:
        self._parts = (
            content[start : start + _CHUNK_BYTES_IN]
            for content in contents
            for start in range(0, len(content), _CHUNK_BYTES_IN)
        )
        self._stream = isal_zlib.decompressobj()

    def read(self, size: int) -> bytearray:
        """Return the next `size` bytes. Raises: ValueError, isal_zlib.error."""
        inflated = []
        while size:
            part = self._stream.decompress(self._stream.unconsumed_tail, size)
            if not part:
                compressed = None if self._stream.eof else next(self._parts, None)
                if compressed is None:
                    raise ValueError("pixels are missing")
                part = self._stream.decompress(compressed, size)
            inflated.append(part)
            size -= len(part)
        return bytearray().join(inflated)
