"""Decode BMPs whose channels are described by masks, with alpha too. Source: BITMAPV4HEADER, BITMAPV5HEADER.

Pillow reads some masks only, and no alpha of 16 bits per pixel.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.described import Described
from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.limits import check_size
from services.blur_worker.engine.raster import Raster

_FILE_HEADER_BYTES, _INFO_HEADER_BYTES, _V3_HEADER_BYTES = 14, 40, 56
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_SUPPORTED_BY_PILLOW = {0, 1, 2}
_COMPRESSIONS = {4: "a JPEG in it", 5: "a PNG in it", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_ROWS_AT_ONCE = 256


def read_bmp(data: bytes, request: ReadRequest) -> ReadFile | None:
    """Decode a file; None if it is one for Pillow.

    Raises:
        ImageError: TOO_LARGE, UNSUPPORTED or CORRUPT.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    (start,) = struct.unpack_from("<I", data, 10)
    (header_bytes,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES)
    if header_bytes < _INFO_HEADER_BYTES or header_bytes == 64:  # OS/2 has other compressions
        return None
    _, width, height, _, bits, compression, _, x, y = struct.unpack_from("<IiiHHIIii", data, _FILE_HEADER_BYTES)
    if compression in _SUPPORTED_BY_PILLOW:
        return None
    if compression not in {_BITFIELDS, _ALPHA_BITFIELDS}:
        raise unsupported(f"BMP with {_COMPRESSIONS.get(compression, f'compression {compression}')}")
    if bits not in {16, 32}:
        raise ValueError("masks for other pixels")
    check_size((width, abs(height)), request.limits)
    with_alpha = header_bytes >= _V3_HEADER_BYTES or compression == _ALPHA_BITFIELDS
    masks = struct.unpack_from("<4I" if with_alpha else "<3I", data, _FILE_HEADER_BYTES + _INFO_HEADER_BYTES)
    raster = _pixels(data, start, (width, abs(height)), bits, masks)
    if height > 0:
        raster = raster.with_samples(raster.samples[::-1])
    described = Described(format="BMP")
    if x > 0 and y > 0:
        described.info["dpi"] = (x * 0.0254, y * 0.0254)
    return ReadFile(frames=[Frame(raster)], described=described, oriented=True)


def _pixels(data: bytes, start: int, size: tuple[int, int], bits: int, masks: tuple[int, ...]) -> Raster:
    """Return the rows as they are stored: mostly from the bottom."""
    width, height = size
    row_bytes = -(-width * bits // 32) * 4
    rows = np.frombuffer(data, np.uint8, row_bytes * height, start).reshape(height, row_bytes)
    stored = rows.view("<u2" if bits == 16 else "<u4")[:, :width]
    channels = 4 if len(masks) == 4 and masks[3] else 3
    samples = np.empty((height, width, channels), np.uint8)
    for top in range(0, height, _ROWS_AT_ONCE):
        part = stored[top : top + _ROWS_AT_ONCE]
        for index in range(channels):
            samples[top : top + _ROWS_AT_ONCE, :, index] = _channel(part, masks[index])
    if channels == 4 and not samples[..., 3].any():
        return Raster("RGB", samples[..., :3])  # writers that leave it at 0 mean nothing by it: browsers agree
    return Raster("RGBA" if channels == 4 else "RGB", samples)


def _channel(pixels: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    if mask == 0:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    if most & (most + 1):
        raise ValueError("a mask with gaps")
    values = (pixels.astype(np.uint64) & np.uint64(mask)) >> np.uint64(shift)
    return ((values * np.uint64(255) + np.uint64(most // 2)) // np.uint64(most)).astype(np.uint8)
