"""Keep the memory of one image for the next: to ask the system for it each time costs a quarter more."""

import ctypes
import sys

from PIL import _imaging

_MAX_BLOCKS = 32
_SMALL_IMAGE_PIXELS = 1 << 22
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""
_LARGEST_KEPT = 32 << 20
"""Bytes of an array that is kept, and half of all that are: what glibc itself comes to after a few large images."""


def keep() -> None:
    """Keep freed memory from now on."""
    _imaging.set_blocks_max(_MAX_BLOCKS)
    _call_libc("mallopt", _MMAP_THRESHOLD, _LARGEST_KEPT)
    _call_libc("mallopt", _TRIM_THRESHOLD, 2 * _LARGEST_KEPT)


def release_after(pixels: int | None) -> None:
    """Return Pillow's memory to the system after an image of more than 4 megapixels, or of unknown size (None)."""
    if pixels is None or pixels > _SMALL_IMAGE_PIXELS:
        _imaging.clear_cache()


def release() -> None:
    """Return all of it to the system: there is no next image yet."""
    _imaging.clear_cache()
    _call_libc("malloc_trim", 0)


def _call_libc(name: str, *arguments: int) -> None:
    """Call a function of glibc; other systems have none of that name, and keep what they keep."""
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)):
        function(*arguments)
