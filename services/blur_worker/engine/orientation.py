"""The orientation of a file, by the rules of browsers: what a person saw when drawing a region is what it hides.

Chromium reads the first EXIF segment before the pixels of a JPEG, and the chunk eXIf before those of a PNG; the tag
counts only as a single SHORT. It ignores EXIF in WebP and AVIF: an AVIF is turned by its properties `irot` and `imir`.
"""

import struct

from PIL import Image
from PIL.ExifTags import Base

from services.blur_worker.engine.containers.jpeg_segments import APP1, segments
from services.blur_worker.engine.containers.png_chunks import SIGNATURE, chunks
from services.blur_worker.engine.metadata_source import MetadataSource

_UPRIGHT = 1
_ORIENTATION_TAG, _SHORT = 0x0112, 3
_MAX_ENTRIES = 1000
_EXIF_HEADER_BYTES = 6


def read_orientation(image: Image.Image | MetadataSource, data: bytes) -> int:
    """Return the orientation, 1 to 8, under which the pixels of a file are stored.

    Args:
        image: Opened from the file.
        data: The file.
    """
    if image.format == "JPEG":
        return _of_exif(_jpeg_exif(data))
    if image.format == "PNG":
        return _of_exif(_png_exif(data))
    if image.format == "AVIF":
        # Pillow puts irot and imir there, over the file's EXIF.
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(Base.Orientation, _UPRIGHT)
        return value if isinstance(value, int) and 1 <= value <= 8 else _UPRIGHT
    return _UPRIGHT


def _jpeg_exif(data: bytes) -> bytes:
    """Return the content of a JPEG's first EXIF segment, from the TIFF header on; empty if there is none."""
    for marker, _, begin, end in segments(data):
        # What follows "Exif\0" is a padding byte of any value.
        if marker == APP1 and data[begin : begin + 5] == b"Exif\0":
            return data[begin + _EXIF_HEADER_BYTES : end]
    return b""


def _png_exif(data: bytes) -> bytes:
    if not data.startswith(SIGNATURE):
        return b""
    for name, content in chunks(data):
        if name == b"eXIf":
            return bytes(content)
        if name == b"IDAT":
            break
    return b""


def _of_exif(exif: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return _UPRIGHT
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return _UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
        if at + 12 > len(exif):
            break
        tag, kind, values, value = struct.unpack_from(f"{order}HHIH", exif, at)
        if tag == _ORIENTATION_TAG:
            return value if kind == _SHORT and values == 1 and 1 <= value <= 8 else _UPRIGHT
    return _UPRIGHT
