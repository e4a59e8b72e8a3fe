"""Decode BMPs. Source: BITMAPCOREHEADER, BITMAPV5HEADER.

Pillow reads some masks only, no alpha of 16 bits per pixel, no palette of an unusual size, and gives pixels that
runs leave out the palette's first colour.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.formats.bmp_runs import expand_runs
from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.limits import check_size
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Raster

_FILE_HEADER_BYTES, _OS2_V1_HEADER_BYTES, _INFO_HEADER_BYTES, _V3_HEADER_BYTES, _V4_HEADER_BYTES = 14, 12, 40, 56, 108
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_RLE8, _RLE4 = 1, 2
_LEFT_OUT = 256
_RUN_LENGTHS = {_RLE8, _RLE4}
_COMPRESSIONS = {3: "Huffman codes", 4: "a JPEG in it", 5: "a PNG in it", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_MASKS = {16: (0x7C00, 0x03E0, 0x001F), 32: (0xFF0000, 0xFF00, 0xFF)}
"""Where a file has none."""
_ALPHA = 0xFF000000
_METERS_PER_INCH = 0.0254
_ROWS_AT_ONCE = 256


def read_bmp(data: bytes, request: ReadRequest) -> ReadFile:
    """Decode a file.

    Raises:
        ImageError: TOO_LARGE, UNSUPPORTED or CORRUPT.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    header = _header(data)
    size = header.width, abs(header.height)
    check_size(size, request.limits)
    if header.compression in _RUN_LENGTHS:
        raster = _from_runs(data, header, size)
    elif header.bits <= 8:
        raster = _from_palette(data, header, size)
    elif header.bits == 24:
        raster = Raster("RGB", _rows(data, header, size)[:, : 3 * size[0]].reshape(size[1], size[0], 3)[..., ::-1])
    else:
        raster = _from_masks(data, header, size)
    if header.height > 0:  # rows from the bottom
        raster = raster.with_samples(raster.samples[::-1])
    described = MetadataSource(format="BMP", info={"dpi": header.dpi} if header.dpi else {})
    return ReadFile(frames=[Frame(raster)], described=described, oriented=True)


@dataclass(frozen=True, kw_only=True)
class _Header:
    bytes: int
    start: int
    """Where the pixels begin."""
    width: int
    height: int
    bits: int
    compression: int = 0
    colors: int = 0
    dpi: tuple[float, float] | None = None


def _header(data: bytes) -> _Header:
    (start,) = struct.unpack_from("<I", data, 10)
    (size,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES)
    if size == _OS2_V1_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HhHH", data, _FILE_HEADER_BYTES + 4)
        return _checked(_Header(bytes=size, start=start, width=width, height=height, bits=bits))
    width, height, _, bits = struct.unpack_from("<iiHH", data, _FILE_HEADER_BYTES + 4)
    if size < _INFO_HEADER_BYTES:
        return _checked(_Header(bytes=size, start=start, width=width, height=height, bits=bits))
    compression, _, x, y, colors = struct.unpack_from("<IIiiI", data, _FILE_HEADER_BYTES + 16)
    dpi = (x * _METERS_PER_INCH, y * _METERS_PER_INCH) if x > 0 and y > 0 else None
    header = _Header(
        bytes=size, start=start, width=width, height=height, bits=bits, compression=compression, colors=colors, dpi=dpi
    )
    return _checked(header)


def _checked(header: _Header) -> _Header:
    compression, of_os2 = header.compression, header.bytes in {_OS2_V1_HEADER_BYTES, 16, 64}
    known = {0, 1, 2} if of_os2 else {0, 1, 2, _BITFIELDS, _ALPHA_BITFIELDS}
    if compression not in known:
        raise unsupported(f"BMP with {_COMPRESSIONS.get(compression, f'compression {compression}')}")
    possible = {16, 32} if compression >= _BITFIELDS else {1, 2, 4, 8, 16, 24, 32}
    if compression in _RUN_LENGTHS:
        possible = {8 if compression == _RLE8 else 4}
    if header.bits not in possible:
        raise unsupported(f"BMP of {header.bits} bits per pixel")
    return header


def _rows(data: bytes, header: _Header, size: tuple[int, int]) -> NDArray[np.uint8]:
    row_bytes = -(-size[0] * header.bits // 32) * 4
    return np.frombuffer(data, np.uint8, row_bytes * size[1], header.start).reshape(size[1], row_bytes)


def _palette(data: bytes, header: _Header) -> NDArray[np.uint8]:
    """Return 256 colours; those beyond the file's are black."""
    entry = 3 if header.bytes == _OS2_V1_HEADER_BYTES else 4
    begin = _FILE_HEADER_BYTES + header.bytes
    # Wherever pixels begin, as in Chromium: some files are wrong about that.
    count = min(header.colors or 1 << header.bits, 256, max(0, len(data) - begin) // entry)
    entries = np.frombuffer(data, np.uint8, count * entry, begin).reshape(count, entry)
    table = np.zeros((256, 3), np.uint8)
    table[:count] = entries[:, 2::-1]
    return table


def _from_palette(data: bytes, header: _Header, size: tuple[int, int]) -> Raster:
    table = _palette(data, header)
    rows = _rows(data, header, size)
    if header.bits < 8:
        shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
        rows = ((rows[..., np.newaxis] >> shifts) & np.uint8((1 << header.bits) - 1)).reshape(size[1], -1)
    return Raster("RGB", table[rows[:, : size[0]]])


def _from_runs(data: bytes, header: _Header, size: tuple[int, int]) -> Raster:
    """Expand runs; as in Chromium, pixels that they leave out are black, whatever the palette."""
    indices = np.full((size[1], size[0]), _LEFT_OUT, np.uint16)
    if not expand_runs(np.frombuffer(data, np.uint8), header.start, header.compression == _RLE4, indices):
        raise ValueError("the runs end before the last row")
    return Raster("RGB", np.concatenate([_palette(data, header), np.zeros((1, 3), np.uint8)])[indices])


def _from_masks(data: bytes, header: _Header, size: tuple[int, int]) -> Raster:
    masks: tuple[int, ...] = _MASKS[header.bits]
    if header.bytes >= _V4_HEADER_BYTES and header.compression < _BITFIELDS and header.bits == 32:
        # Masks have no meaning here, but as in Chromium one of alpha, whatever it is, means that there is alpha.
        (alpha,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES + _INFO_HEADER_BYTES + 12)
        masks += (_ALPHA,) if alpha else ()
    if header.compression >= _BITFIELDS:
        with_alpha = header.bytes >= _V3_HEADER_BYTES or header.compression == _ALPHA_BITFIELDS
        masks = struct.unpack_from("<4I" if with_alpha else "<3I", data, _FILE_HEADER_BYTES + _INFO_HEADER_BYTES)
    for mask in masks:
        if mask >> header.bits or mask & (mask + (mask & -mask)):  # adding the lowest bit carries through the others
            raise unsupported("BMP with a mask that has gaps or is wider than a pixel")
    stored = _rows(data, header, size).view("<u2" if header.bits == 16 else "<u4")[:, : size[0]]
    channels = 4 if len(masks) == 4 and masks[3] else 3
    samples = np.empty((*stored.shape, channels), np.uint8)
    for top in range(0, len(stored), _ROWS_AT_ONCE):
        part = stored[top : top + _ROWS_AT_ONCE]
        for index in range(channels):
            samples[top : top + _ROWS_AT_ONCE, :, index] = _channel(part, masks[index])
    return Raster("RGBA" if channels == 4 else "RGB", samples)


def _channel(pixels: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    if mask == 0:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = (1 << (mask.bit_length() - shift)) - 1
    values = (pixels.astype(np.uint64) & np.uint64(mask)) >> np.uint64(shift)
    return ((values * np.uint64(255) + np.uint64(most // 2)) // np.uint64(most)).astype(np.uint8)
