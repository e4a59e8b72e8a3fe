"""Memory of images, kept by Pillow from one for the next: to ask the system each time costs a sixth more."""

from PIL import _imaging

_BLOCKS = 32
_SMALL_PIXELS = 1 << 22


def keep() -> None:
    """Keep memory from now on."""
    _imaging.set_blocks_max(_BLOCKS)


def release_after(pixels: int | None) -> None:
    """Give it back after an image of so many pixels, or of unknown size, if that took much."""
    if pixels is None or pixels > _SMALL_PIXELS:
        _imaging.clear_cache()
