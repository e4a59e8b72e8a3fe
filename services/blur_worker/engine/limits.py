"""The limits on an image's size, enforced before anything is allocated."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from services.blur_worker.engine.raster import Size
from services.common.domain.errors import ImageError, Reason

_pillow_settings = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What the engine refuses."""

    max_pixels: int
    """Width × height × frames; of a TIFF the sum over its pages."""


def check_pixels(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Check an opened, not yet loaded file by its headers, all frames counted.

    Raises:
        ImageError: TOO_LARGE, or CORRUPT if there is no pixel at all.
    """
    if image.width < 1 or image.height < 1:
        raise ImageError(Reason.CORRUPT, "The image has no pixels")
    if isinstance(image, TiffImageFile):
        _check_pages(image, max_pixels)
        return
    pixels = image.width * image.height
    _check(pixels, max_pixels)  # before the frames are counted: counting reads a whole GIF
    _check(pixels * getattr(image, "n_frames", 1), max_pixels)


def check_sides(size: Size, max_side: int, format_name: str) -> None:
    """Check that a format can hold an image of this width and height, in pixels.

    Raises:
        ImageError: TOO_LARGE.
    """
    if max(size) > max_side:
        sides = f"{size[0]} × {size[1]}"
        raise ImageError(
            Reason.TOO_LARGE, f"The image is {sides} pixels, {format_name} holds at most {max_side} a side"
        )


def too_large(error: Image.DecompressionBombError, max_pixels: int) -> ImageError:
    """Return TOO_LARGE for what Pillow's own check found; its message has the number of pixels."""
    found = re.search(r"\((\d+) pixels\)", str(error))
    return _too_many_pixels(int(found[1]) if found else None, max_pixels)


@contextmanager
def pillow_limits(limits: Limits) -> Iterator[None]:
    """Make Pillow enforce our limit, without warnings, until the block ends.

    Sizes that appear only while decoding (a WebP's canvas, a GIF's frame that is larger than its screen) reach nothing
    but Pillow's own check, which warns above its limit and raises above twice its limit. That limit and the filters of
    warnings belong to the whole process: both are restored, and threads decode one at a time (a worker's child process
    has only one).
    """
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = -(-limits.max_pixels // 2), False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_pages(image: TiffImageFile, max_pixels: int) -> None:
    pixels = 0
    for page in range(image.n_frames):
        image.seek(page)
        width, height = image.size
        # A tile is decoded whole, even if it is larger than the page.
        tile = [image.tag_v2.get(tag) for tag in (TILEWIDTH, TILELENGTH)]
        tile_pixels = tile[0] * tile[1] if isinstance(tile[0], int) and isinstance(tile[1], int) else 0
        pixels += max(width * height, tile_pixels)
        _check(pixels, max_pixels)
    image.seek(0)


def _check(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise _too_many_pixels(pixels, max_pixels)


def _too_many_pixels(pixels: int | None, max_pixels: int) -> ImageError:
    has = f"{pixels:,} pixels" if pixels else "too many pixels"
    return ImageError(Reason.TOO_LARGE, f"The image has {has} (all frames counted), the limit is {max_pixels:,}")
