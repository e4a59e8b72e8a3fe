"""What a PNG says beside its pixels."""

import struct
import zlib

from services.blur_worker.engine.metadata import Metadata, icc_for
from services.blur_worker.engine.png.chunks import chunk

_INCHES_PER_METER = 1 / 0.0254
_METER = 1
_EXIF_PREFIX = b"Exif\0\0"  # of JPEG's segment; PNG's chunk goes without
_XMP = "XML:com.adobe.xmp"


def metadata_chunks(metadata: Metadata, mode: str) -> list[bytes]:
    """Gives the chunks that come before the pixels, of an image in this mode."""
    found = []
    if icc := icc_for(metadata.icc_profile, mode):
        found.append(chunk(b"iCCP", b"ICC Profile\0\0", zlib.compress(icc)))
    if metadata.dpi:
        per_meter = (round(value * _INCHES_PER_METER) for value in metadata.dpi)
        found.append(chunk(b"pHYs", struct.pack(">IIB", *per_meter, _METER)))
    texts = dict(metadata.text)
    if metadata.xmp:
        texts[_XMP] = metadata.xmp.decode("utf-8", "replace")
    found += [_text(name, value) for name, value in texts.items()]
    if metadata.exif is not None:
        found.append(chunk(b"eXIf", metadata.exif.tobytes().removeprefix(_EXIF_PREFIX)))
    return found


def _text(name: str, value: str) -> bytes:
    # Name, then: not compressed, no language, no translated name.
    return chunk(b"iTXt", name.encode("latin-1", "replace")[:79], bytes(5), value.encode())
