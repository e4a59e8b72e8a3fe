"""Let Pillow keep the memory of one image for the next: to ask the system for it each time costs a sixth more."""

from PIL import _imaging

_MAX_BLOCKS = 32
_SMALL_IMAGE_PIXELS = 1 << 22


def keep() -> None:
    """Keep freed memory from now on."""
    _imaging.set_blocks_max(_MAX_BLOCKS)


def release_after(pixels: int | None) -> None:
    """Return kept memory to the system after an image of more than 4 megapixels, or of unknown size (None)."""
    if pixels is None or pixels > _SMALL_IMAGE_PIXELS:
        _imaging.clear_cache()
