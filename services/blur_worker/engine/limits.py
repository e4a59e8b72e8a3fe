"""The limits on an image's size, enforced before anything is allocated."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile

from services.blur_worker.engine.raster import Size
from services.common.domain.errors import ImageError, Reason

_pillow_settings = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What the engine refuses."""

    max_pixels: int
    """Width × height × frames; of a TIFF the sum over its pages."""
    max_frames: int = 3_000
    """Frames of an animation: each costs time, however small it is."""
    max_pages: int = 1_000
    """Pages of a TIFF."""
    max_segments: int = 50_000
    """Chunks of a PNG, marker segments of a JPEG, blocks of a GIF, strips and tiles of a TIFF."""
    max_scans: int = 100
    """Scans of a JPEG."""

    def check_pixels(self, pixels: int) -> None:
        """Check a number of pixels. Raises: ImageError, TOO_LARGE."""
        if pixels > self.max_pixels:
            raise _too_many_pixels(pixels, self.max_pixels)


def check_count(count: int, limit: int, what: str) -> None:
    """Check how many parts a file has.

    Args:
        count: How many, or how many at least.
        limit: How many it may have.
        what: Their name, as in "frames".

    Raises:
        ImageError: TOO_LARGE.
    """
    if count > limit:
        raise ImageError(Reason.TOO_LARGE, f"The image has more than {limit:,} {what}, which is the limit")


def check_size(size: Size, limits: Limits, frames: int = 1) -> None:
    """Check a size before pixels are allocated, all frames counted.

    Raises:
        ImageError: TOO_LARGE, or CORRUPT if there is no pixel at all.
    """
    if min(size) < 1:
        raise ImageError(Reason.CORRUPT, "The image has no pixels")
    limits.check_pixels(size[0] * size[1])
    check_count(frames, limits.max_frames, "frames")
    limits.check_pixels(size[0] * size[1] * frames)


def check_pixels(image: ImageFile.ImageFile, limits: Limits) -> None:
    """Check an opened, not yet loaded file by its headers, all frames counted.

    Raises:
        ImageError: TOO_LARGE, or CORRUPT if there is no pixel at all.
    """
    check_size(image.size, limits)  # before the frames are counted
    check_size(image.size, limits, getattr(image, "n_frames", 1))


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


def _too_many_pixels(pixels: int | None, max_pixels: int) -> ImageError:
    has = f"{pixels:,} pixels" if pixels else "too many pixels"
    return ImageError(Reason.TOO_LARGE, f"The image has {has} (all frames counted), the limit is {max_pixels:,}")
