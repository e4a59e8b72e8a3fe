"""HEIC and HEIF, as phones write them: only read. Of several images, the primary one.

libheif applies the image's own transformations (clap, irot, imir) and its alpha. Nothing else of the file is decoded:
no thumbnail, depth or gain map, and no other image of a burst.
"""

from importlib import import_module
from typing import Any

import numpy as np
from PIL import ImageFile

from services.blur_worker.engine.containers.heif_items import HeifItem, decoded_items
from services.blur_worker.engine.containers.iso_media import displayed_properties
from services.blur_worker.engine.formats.codec import Codec
from services.blur_worker.engine.formats.detect import iso_media_brands
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import Frame, SourceEncoding
from services.blur_worker.engine.limits import Limits, check_count, check_size
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Raster
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

pillow_heif: Any
try:
    pillow_heif = import_module("pillow_heif")
except ImportError:
    pillow_heif = None
else:
    options = pillow_heif.options
    options.DECODE_THREADS = 1  # there is a child process for each core
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False

_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_DECODED = {b"hvc1": "HEVC", b"grid": "tiles", b"iden": "a derived image", b"iovl": "layers"}
_MAX_PARTS_PIXELS = 4
"""Pixels of all parts together, as a multiple of the limit: alpha, and tiles that stick out of the picture."""
_CHROMA = {1: "4:2:0", 2: "4:2:2", 3: "4:4:4"}


def _detect(head: bytes) -> bool:
    brands = iso_media_brands(head)
    return not brands.isdisjoint(_BRANDS) and brands.isdisjoint({b"avif", b"avis"})


def _check(data: bytes, limits: Limits) -> None:
    """Refuse what is too large or not supported, by the headers alone."""
    if pillow_heif is None:
        message = "HEIC needs the extra heif where the blur workers run: pip install 'imageblur[heif]'"
        raise ImageError(Reason.UNSUPPORTED, message)
    items = decoded_items(data)
    if not items:
        raise ImageError(Reason.UNSUPPORTED, "HEIF image sequences without a still image are not supported")
    for item in items:
        if item.type not in _DECODED:
            raise ImageError(Reason.UNSUPPORTED, f"HEIF images of the kind {_name(item)} are not supported; HEVC is")
    check_size(items[0].size, limits)
    check_count(len(items), limits.max_segments, "tiles")
    for item in items[1:]:
        limits.check_pixels(item.size[0] * item.size[1])
    if sum(item.size[0] * item.size[1] for item in items) > _MAX_PARTS_PIXELS * limits.max_pixels:
        raise ImageError(Reason.TOO_LARGE, f"The parts of the image have more than {_MAX_PARTS_PIXELS} times the limit")


def _name(item: HeifItem) -> str:
    return "".join(character for character in item.type.decode("ascii", "replace") if character.isprintable())


def _read(data: bytes, request: ReadRequest) -> ReadFile:
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        image = file[file.primary_index]
        check_size(image.size, request.limits)
        raster = _raster(image)
    except (RuntimeError, ValueError, OSError) as error:
        raise _error(str(error)) from error
    info = {name: image.info[name] for name in ("exif", "xmp", "icc_profile") if image.info.get(name)}
    return ReadFile(frames=[Frame(raster)], described=MetadataSource(format="HEIF", info=info), oriented=True)


def _raster(image: Any) -> Raster:
    """Return the pixels: 8 bits as they are, more as 16, and colours not premultiplied by alpha."""
    mode, bits = image.mode.split(";")[0], image.info["bit_depth"]
    mode = {"I": "L"}.get(mode, mode)
    channels = len(mode)
    (width, height), dtype = image.size, np.dtype(np.uint8 if bits <= 8 else "<u2")
    rows = np.frombuffer(image.data, dtype).reshape(height, image.stride // dtype.itemsize)
    samples = rows[:, : width * channels].reshape(height, width, channels)
    if bits > 8:  # the upper bits are repeated below, so that white stays white
        samples = (samples << (16 - bits)) | (samples >> (2 * bits - 16))
    if mode.endswith("a"):
        alpha = samples[..., -1:].astype(np.float32)
        largest = 255 if bits <= 8 else 65535
        colors = np.rint(samples[..., :-1].astype(np.float32) * largest / np.maximum(alpha, 1)).clip(0, largest)
        samples = np.concatenate([colors.astype(samples.dtype), samples[..., -1:]], axis=2)
    return Raster(mode.upper(), np.ascontiguousarray(samples).astype(samples.dtype.newbyteorder("="), copy=False))


def _error(message: str) -> Exception:
    # Libheif calls its limits errors of memory, too; but another attempt fails as well.
    if "limit" in message.lower():
        return ImageError(Reason.TOO_LARGE, f"The HEIF file exceeds a limit of its decoder: {message[:200]}")
    if "Memory" in message:
        return MemoryError(message)
    if "nsupported" in message:
        return ImageError(Reason.UNSUPPORTED, f"This kind of HEIF is not supported: {message[:200]}")
    return ImageError(Reason.CORRUPT, "The HEIF file is damaged or incomplete")


def _read_encoding(_image: ImageFile.ImageFile | MetadataSource, data: bytes) -> SourceEncoding:
    configuration = displayed_properties(data).get(b"hvcC", b"")
    chroma = configuration[16] & 3 if len(configuration) > 16 else 1  # ISO/IEC 14496-15, 8.3.3.1
    return SourceEncoding(subsampling=_CHROMA.get(chroma, "4:2:0"))


def _encode(_frames: object) -> bytes:
    raise NotImplementedError("HEIF is only read: specs that ask for it are refused")


CODEC = Codec(
    format=Format.HEIF,
    detect=_detect,
    encode=_encode,
    modes=frozenset(),
    check=_check,
    read=_read,
    read_encoding=_read_encoding,
)
