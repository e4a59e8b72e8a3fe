"""Writes BMP files with alpha: Pillow's own writer leaves the alpha out of the header, so nobody reads it."""

import struct

from PIL import Image

_FILE_HEADER, _INFO_HEADER = 14, 108  # BITMAPV4HEADER, the first that knows of alpha
_BITFIELDS = 3


def encode_bmp(image: Image.Image) -> bytes:
    """Encodes an image of mode RGBA."""
    pixels = image.tobytes("raw", "BGRA", 0, -1)
    start = _FILE_HEADER + _INFO_HEADER
    file_header = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    per_meter = 2835  # 72 dpi
    info = struct.pack(
        "<IiiHHIIiiII", _INFO_HEADER, *image.size, 1, 32, _BITFIELDS, len(pixels), *[per_meter] * 2, 0, 0
    )
    masks = struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")  # "sRGB", as a little-endian number
    return b"".join([file_header, info, masks, bytes(48), pixels])
