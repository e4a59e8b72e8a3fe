"""Write a PNG's metadata. Source: PNG specification, third edition, clause 11.3; XMP specification, part 3, 1.1.5."""

import struct
import zlib
from dataclasses import replace

from services.blur_worker.engine.color import ColorDescription, profile_for
from services.blur_worker.engine.containers.png_chunks import chunk
from services.blur_worker.engine.metadata import Metadata

_INCHES_PER_METER = 1 / 0.0254
_METER = 1
_PER_UNIT = 100_000
"""1 as an integer of the chunks gAMA and cHRM."""
_EXIF_PREFIX = b"Exif\0\0"  # of a JPEG's segment; the chunk goes without
_XMP_KEYWORD = "XML:com.adobe.xmp"


def metadata_chunks(metadata: Metadata, mode: str) -> list[bytes]:
    """Return the chunks to write before the pixels of an image in this mode."""
    color, icc_profile = metadata.color, profile_for(metadata.color.icc_profile, mode)
    if color.icc_profile and not icc_profile:
        # Chromium ignores these beside a profile, even of colours that the image does not have.
        color = replace(color, gamma=None, chromaticities=None)
    found = _color_chunks(color)
    if icc_profile:
        found.append(chunk(b"iCCP", b"ICC Profile\0\0", zlib.compress(icc_profile)))
    if metadata.dpi:
        per_meter = (round(value * _INCHES_PER_METER) for value in metadata.dpi)
        found.append(chunk(b"pHYs", struct.pack(">IIB", *per_meter, _METER)))
    texts = dict(metadata.text)
    if metadata.xmp:
        texts[_XMP_KEYWORD] = metadata.xmp.decode("utf-8", "replace")
    found += [_text_chunk(keyword, text) for keyword, text in texts.items()]
    if metadata.exif is not None:
        found.append(chunk(b"eXIf", metadata.exif.tobytes().removeprefix(_EXIF_PREFIX)))
    return found


def _color_chunks(color: ColorDescription) -> list[bytes]:
    """All that the file describes, as it does: which of it holds is for the reader to decide."""
    found = []
    if color.code_points is not None:
        found.append(chunk(b"cICP", bytes([*color.code_points, 0, 1])))
    if color.srgb_intent is not None:
        found.append(chunk(b"sRGB", bytes([color.srgb_intent])))
    if color.gamma is not None:
        found.append(chunk(b"gAMA", struct.pack(">I", round(color.gamma * _PER_UNIT))))
    if color.chromaticities is not None:
        found.append(chunk(b"cHRM", struct.pack(">8I", *(round(each * _PER_UNIT) for each in color.chromaticities))))
    return found


def _text_chunk(keyword: str, text: str) -> bytes:
    # After the keyword: not compressed, no language, no translated keyword.
    return chunk(b"iTXt", keyword.encode("latin-1", "replace")[:79], bytes(5), text.encode())
