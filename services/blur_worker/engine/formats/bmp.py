"""BMP, with an alpha channel too: Pillow's encoder does not declare one in the header, so that no reader sees it."""

import struct
from typing import Any

from services.blur_worker.engine.formats.bmp_reader import read_bmp
from services.blur_worker.engine.formats.codec import Codec, FramesToEncode
from services.blur_worker.engine.formats.pillow_save import save
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Format

_FILE_HEADER_BYTES, _V4_HEADER_BYTES = 14, 108  # BITMAPV4HEADER is the first with a mask for alpha
_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
_BITFIELDS = 3  # compression: none, channels by mask
_PIXELS_PER_METER = 2835  # 72 dpi


def _detect(head: bytes) -> bool:
    # A sentence may begin with BM too.
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _HEADER_SIZES


def _encode(frames: FramesToEncode) -> bytes:
    (raster,), dpi = frames.rasters, frames.info.metadata.dpi
    if raster.mode == "RGBA":
        return _encode_rgba(raster)
    options: dict[str, Any] = {"dpi": dpi} if dpi else {}
    return save([raster], Format.BMP, **options)


def _encode_rgba(raster: Raster) -> bytes:
    pixels = raster.to_pillow().tobytes("raw", "BGRA", 0, -1)  # rows from the bottom
    start = _FILE_HEADER_BYTES + _V4_HEADER_BYTES
    file_header = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII",
        *(_V4_HEADER_BYTES, *raster.size, 1, 32, _BITFIELDS),
        *(len(pixels), _PIXELS_PER_METER, _PIXELS_PER_METER, 0, 0),
    )
    masks = struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")  # "sRGB", as a little-endian number
    return b"".join([file_header, info, masks, bytes(48), pixels])


CODEC = Codec(
    format=Format.BMP,
    detect=_detect,
    encode=_encode,
    modes=frozenset({"L", "RGB", "RGBA"}),
    carries_profiles=False,
    read=read_bmp,
)
