"""Blur a file from bytes to bytes with the engine and with other libraries, each with one thread.

Import it after `one_core`: libvips reads its number of threads once.
"""

import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import pyvips
from PIL import Image, ImageFilter

from services.blur_worker.engine import Blurred, Limits, blur, kept_memory
from services.common.domain.spec import BlurSpec, Gaussian

Blur = Callable[[bytes, float], bytes]
QUALITY = 90
LIMITS = Limits(max_pixels=200_000_000)
# As in a worker's child process, for all libraries.
kept_memory.keep()


def by_engine(data: bytes, sigma: float) -> bytes:
    """Blur as a worker's child process does."""
    return blur_with_engine(data, sigma).data


def blur_with_engine(data: bytes, sigma: float) -> Blurred:
    """Do the same; return the engine's whole answer."""
    return blur(data, BlurSpec(Gaussian(sigma), quality=_quality_of_like_size(data, sigma)), LIMITS)


@functools.cache
def _quality_of_like_size(data: bytes, sigma: float) -> int:
    """Return the quality at which the engine's JPEG has as many bytes as Pillow's.

    At the same quality it has up to a fifth fewer, since it is rounded only once and has no decoder's noise. To write
    fewer bytes would be an advantage in time too.
    """
    if not data.startswith(b"\xff\xd8"):
        return QUALITY
    size = len(by_pillow(data, sigma))
    sizes = {
        quality: len(blur(data, BlurSpec(Gaussian(sigma), quality=quality), LIMITS).data)
        for quality in range(QUALITY, QUALITY + 6)
    }
    return min(sizes, key=lambda quality: abs(sizes[quality] - size))


def by_pillow(data: bytes, sigma: float) -> bytes:
    """Decode, GaussianBlur, encode: PNG with the default of `save`."""
    with Image.open(io.BytesIO(data)) as image:
        return saved(image.filter(ImageFilter.GaussianBlur(sigma)), image.format)


def by_pillow_without_blur(data: bytes, _sigma: float) -> bytes:
    """Decode and encode alone."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return saved(image, image.format)


def by_vips(data: bytes, sigma: float) -> bytes:
    """`gaussblur` with its defaults, streaming."""
    vips: Any = pyvips.Image
    blurred = vips.new_from_buffer(data, "", access="sequential").gaussblur(sigma)
    if data.startswith(b"\x89PNG"):
        return bytes(blurred.pngsave_buffer())
    return bytes(blurred.jpegsave_buffer(Q=QUALITY, subsample_mode="on"))


def by_opencv(data: bytes, sigma: float) -> bytes:
    """`GaussianBlur` with its default length of the kernel; edges mirrored."""
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


def saved(image: Image.Image, format_: str | None) -> bytes:
    """Encode with the quality of the comparison."""
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": QUALITY} if format_ == "JPEG" else {}
    if options and image.mode != "CMYK":
        # Of CMYK it would store three of the four inks at half the size, which is not Pillow's default.
        options["subsampling"] = "4:2:0"
    image.save(out, format_, **options)
    return out.getvalue()
