"""Blurring a file from bytes to bytes, by the engine and by those it is held against; each with one thread.

Imported only after `one_core`: libvips reads its number of threads once.
"""

import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import pyvips
from PIL import Image, ImageFilter

from services.blur_worker.engine import Blurred, Limits, blur
from services.common.domain.spec import BlurSpec, Gaussian

Blur = Callable[[bytes, float], bytes]
QUALITY = 90
_LIMITS = Limits(max_pixels=200_000_000)


def by_engine(data: bytes, sigma: float) -> bytes:
    """As a worker's child does it."""
    return engine_facts(data, sigma).data


def engine_facts(data: bytes, sigma: float) -> Blurred:
    """The same, with what is told about it."""
    return blur(data, BlurSpec(Gaussian(sigma), quality=_quality_of_like_size(data, sigma)), _LIMITS)


@functools.cache
def _quality_of_like_size(data: bytes, sigma: float) -> int:
    """The quality at which the engine's JPEG has as many bytes as Pillow's.

    At the same quality it has up to a fifth less, since it is rounded once and has no noise of a decoder in it. To
    write less would be an advantage in time too, so it is given as much to write.
    """
    if not data.startswith(b"\xff\xd8"):
        return QUALITY
    size = len(by_pillow(data, sigma))
    sizes = {
        quality: len(blur(data, BlurSpec(Gaussian(sigma), quality=quality), _LIMITS).data)
        for quality in range(QUALITY, QUALITY + 6)
    }
    return min(sizes, key=lambda quality: abs(sizes[quality] - size))


def by_pillow(data: bytes, sigma: float) -> bytes:
    """Decode, GaussianBlur, encode: PNG with the default of `save`."""
    with Image.open(io.BytesIO(data)) as image:
        return _saved(image.filter(ImageFilter.GaussianBlur(sigma)), image.format)


def by_pillow_without_blur(data: bytes, _sigma: float) -> bytes:
    """Decode and encode alone."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return _saved(image, image.format)


def by_vips(data: bytes, sigma: float) -> bytes:
    """`gaussblur` as it is by default, streaming."""
    vips: Any = pyvips.Image
    blurred = vips.new_from_buffer(data, "", access="sequential").gaussblur(sigma)
    if data.startswith(b"\x89PNG"):
        return bytes(blurred.pngsave_buffer())
    return bytes(blurred.jpegsave_buffer(Q=QUALITY, subsample_mode="on"))


def by_opencv(data: bytes, sigma: float) -> bytes:
    """`GaussianBlur`, its kernel as long as it finds right; edges mirrored."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    if data.startswith(b"\x89PNG"):
        return bytes(cv2.imencode(".png", blurred)[1])
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return bytes(cv2.imencode(".jpg", blurred, options)[1])


PEERS: Mapping[str, Blur] = {
    "engine": by_engine,
    "Pillow": by_pillow,
    "libvips": by_vips,
    "OpenCV": by_opencv,
    "Pillow, no blur": by_pillow_without_blur,
}


def _saved(image: Image.Image, format_: str | None) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": QUALITY, "subsampling": "4:2:0"} if format_ == "JPEG" else {}
    image.save(out, format_, **options)
    return out.getvalue()
