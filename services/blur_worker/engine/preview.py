"""Draw a small picture of an encoded image as the engine sees it: what a person marks on it is what is hidden."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Format

_IN_SRGB = Format.BMP
"""Decoding for a format that holds one image and no colour description gives the first one, in sRGB."""
_QUALITY = 85
_FASTEST = 0  # WebP's method


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A picture of an image's first frame or page, upright and in sRGB."""

    data: bytes
    """The file, without metadata."""
    format: Format
    """JPEG, or WebP if a pixel may be transparent."""
    width: int
    """Width of the image itself, as displayed, in pixels; `height` likewise."""
    height: int


def draw_preview(data: bytes, max_side: int, limits: Limits, max_bytes: int | None = None) -> Preview:
    """Return a picture of an encoded image.

    Args:
        data: The file.
        max_side: Longest side of the picture in pixels.
        limits: On the image's size.
        max_bytes: Largest file; the picture gets fewer pixels until it fits.

    Raises:
        ImageError: See `blur`.
        MemoryError: The process reached its memory limit; the image may be sound.
    """
    raster = decode(data, limits, _IN_SRGB, keep_metadata=False).frames[0].raster
    picture = _shrunk(_as_rgb(raster), max_side)
    format_ = Format.WEBP if picture.mode == "RGBA" else Format.JPEG
    encoded = _encoded(picture, format_)
    while max_bytes is not None and len(encoded) > max_bytes and max(picture.size) > 1:
        picture = _shrunk(picture, max(picture.size) * 3 // 4)
        encoded = _encoded(picture, format_)
    width, height = raster.size
    return Preview(data=encoded, format=format_, width=width, height=height)


def _encoded(picture: Image.Image, format_: Format) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format_.value, quality=_QUALITY, **({"method": _FASTEST} if format_ is Format.WEBP else {}))
    return buffer.getvalue()


def _as_rgb(raster: Raster) -> Image.Image:
    """Return the pixels as RGB of 8 bits, or as RGBA if the image has an alpha channel."""
    return raster.to_8_bit().to_pillow().convert("RGBA" if raster.has_alpha else "RGB")


def _shrunk(picture: Image.Image, max_side: int) -> Image.Image:
    longest = max(picture.size)
    if longest <= max_side:
        return picture
    width, height = (max(1, round(side * max_side / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
