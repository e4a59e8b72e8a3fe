"""Write animated WebP frame by frame: libwebp's encoder drops frames that look like the one before.

Source: RFC 9649, section 2.7 (extended file format).
"""

import struct
from collections.abc import Callable, Iterator, Sequence

from services.blur_worker.engine.formats.changed_box import changed_box
from services.blur_worker.engine.raster import Raster

_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_REPLACE_AND_KEEP = 0x02
"""A frame replaces what is in its box, and stays."""
_MAX_MILLISECONDS = (1 << 24) - 1
_FILE_HEADER_BYTES = 12
_PIXELS = {b"ALPH", b"VP8 ", b"VP8L"}


def write_animation(
    frames: Sequence[Raster],
    milliseconds: Sequence[float],
    encode: Callable[[Raster], bytes],
    *,
    plays: int,
    icc_profile: bytes = b"",
    exif: bytes = b"",
    xmp: bytes = b"",
) -> bytes:
    """Return a file with all frames.

    Args:
        frames: Of one size and mode.
        milliseconds: How long each is shown.
        encode: Makes a WebP file of a part of a frame.
        plays: How often the animation is played; 0 is for ever.
        icc_profile: Empty for none; as `exif` and `xmp`.
        exif: From its TIFF header on.
        xmp: As it is.
    """
    width, height = frames[0].size
    flags = _ANIMATION | (_ALPHA if frames[0].has_alpha else 0)
    flags |= (_ICC if icc_profile else 0) | (_EXIF if exif else 0) | (_XMP if xmp else 0)
    parts = [_chunk(b"VP8X", struct.pack("<I", flags) + _u24(width - 1) + _u24(height - 1))]
    if icc_profile:
        parts.append(_chunk(b"ICCP", icc_profile))
    parts.append(_chunk(b"ANIM", struct.pack("<IH", 0, min(plays, 65535))))
    before: Raster | None = None
    for frame, duration in zip(frames, milliseconds, strict=True):
        parts.append(_frame(frame, before, duration, encode))
        before = frame
    if exif:
        parts.append(_chunk(b"EXIF", exif))
    if xmp:
        parts.append(_chunk(b"XMP ", xmp))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents of RIFF chunks."""
    while start + 8 <= end:
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        yield name, data[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


def _frame(frame: Raster, before: Raster | None, duration: float, encode: Callable[[Raster], bytes]) -> bytes:
    left, top, right, bottom = changed_box(frame, before)
    left, top = left // 2 * 2, top // 2 * 2  # a file has only even ones
    still = encode(frame.crop((left, top, right, bottom)))
    pixels = [
        _chunk(name, content) for name, content in chunks(still, _FILE_HEADER_BYTES, len(still)) if name in _PIXELS
    ]
    milliseconds = min(max(round(duration), 0), _MAX_MILLISECONDS)
    numbers = (left // 2, top // 2, right - left - 1, bottom - top - 1, milliseconds)
    header = b"".join(map(_u24, numbers)) + bytes([_REPLACE_AND_KEEP])
    return _chunk(b"ANMF", header + b"".join(pixels))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "little")
