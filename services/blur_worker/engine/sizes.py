"""The limit on pixels, held before anything is allocated."""

import re

from PIL import ImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

MAX_SIDE = {Format.JPEG: 65_500, Format.WEBP: 16_383, Format.GIF: 65_535, Format.AVIF: 65_536}
"""What a format can hold, in pixels."""


def check_pixels(image: ImageFile.ImageFile, limit: int) -> None:
    """Checks an opened, not yet loaded file by what its headers say, all frames counted.

    Raises:
        ImageError: TOO_LARGE, or CORRUPT where there is not a single pixel.
    """
    if image.width < 1 or image.height < 1:
        raise ImageError(Reason.CORRUPT, "The image has no pixels")
    if isinstance(image, TiffImageFile):
        _check_pages(image, limit)
        return
    pixels = image.width * image.height
    _check(pixels, limit)  # before the frames are counted: that reads a whole GIF
    _check(pixels * getattr(image, "n_frames", 1), limit)


def too_large(message: str, limit: int) -> ImageError:
    """The error for what Pillow's own check found; its message names the pixels."""
    found = re.search(r"\((\d+) pixels\)", message)
    return _error(int(found[1]) if found else None, limit)


def _check_pages(image: TiffImageFile, limit: int) -> None:
    pixels = 0
    for page in range(image.n_frames):
        image.seek(page)
        width, height = image.size
        # A tile is decoded whole, even where it is larger than the page.
        tile = [image.tag_v2.get(tag) for tag in (TILEWIDTH, TILELENGTH)]
        tile_pixels = tile[0] * tile[1] if isinstance(tile[0], int) and isinstance(tile[1], int) else 0
        pixels += max(width * height, tile_pixels)
        _check(pixels, limit)
    image.seek(0)


def _check(pixels: int, limit: int) -> None:
    if pixels > limit:
        raise _error(pixels, limit)


def _error(pixels: int | None, limit: int) -> ImageError:
    has = f"{pixels:,} pixels" if pixels else "too many pixels"
    return ImageError(Reason.TOO_LARGE, f"The image has {has} (all frames counted), the limit is {limit:,}")


def check_sides(size: tuple[int, int], limit: int, name: str) -> None:
    """Checks that a format can hold an image of this width and height.

    Raises:
        ImageError: TOO_LARGE.
    """
    if max(size) > limit:
        sides = f"{size[0]} × {size[1]}"
        raise ImageError(Reason.TOO_LARGE, f"The image is {sides} pixels, {name} holds at most {limit} a side")
