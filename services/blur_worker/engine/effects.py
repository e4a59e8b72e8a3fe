"""The effects, each on one whole image; modes stay what they are."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from services.blur_worker.engine.gaussian import blur_band
from services.common.spec import Effect, Gaussian, Pixelate, Solid

Change = Callable[[Image.Image], Image.Image]
_PREMULTIPLIED = {"RGBA": "RGBa", "LA": "La"}


def apply(effect: Effect, image: Image.Image, displayed: tuple[int, int]) -> Image.Image:
    """Gives the image wholly under the effect.

    Args:
        effect: What to do.
        image: In one of the modes of `Frame`; may be a part of the displayed image, cut at the effect's cells.
        displayed: Width and height of the displayed image, which relative sizes refer to.
    """
    match effect:
        case Gaussian():
            sigma = effect.sigma_px(*displayed)
            return _per_band(image, lambda band: blur_band(band, sigma))
        case Pixelate():
            cell = effect.cell_px(*displayed)
            return _per_band(image, lambda band: _pixelate_band(band, cell))
        case Solid():
            return Image.new(image.mode, image.size, _ink(image.mode, effect.color))


def _per_band(image: Image.Image, change: Change) -> Image.Image:
    # Alpha weighs the colours: without it, what lies unseen under transparent pixels would bleed into the seen ones.
    # Band by band because Pillow filters no YCbCr otherwise, and single bands are faster than packed ones.
    if premultiplied := _PREMULTIPLIED.get(image.mode):
        return _per_band(image.convert(premultiplied), change).convert(image.mode)
    if len(image.getbands()) == 1:
        return change(image)
    return Image.merge(image.mode, [change(band) for band in image.split()])


def _pixelate_band(band: Image.Image, cell: int) -> Image.Image:
    """Each cell is the mean of its pixels; cells start at the top left, the last ones may be partial."""
    samples = np.asarray(band)
    rows, columns = (np.arange(0, side, cell) for side in samples.shape)
    heights, widths = (
        np.diff(starts, append=side) for starts, side in zip((rows, columns), samples.shape, strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(samples, columns, axis=1, dtype=np.uint32), rows, axis=0, dtype=np.uint64)
    means: NDArray[np.float64] = sums / np.outer(heights, widths)
    cells = np.rint(means).astype(samples.dtype)
    return Image.fromarray(np.repeat(np.repeat(cells, heights, axis=0), widths, axis=1))


def _ink(mode: str, color: str) -> int | tuple[int, ...]:
    """The colour in a mode's own terms, opaque: what is under a solid fill must not be told by its alpha either."""
    if mode == "I;16":
        grey = ImageColor.getcolor(color, "L")
        assert isinstance(grey, int)
        return grey * 257
    if mode in {"L", "LA", "RGB", "RGBA"}:
        return ImageColor.getcolor(color, mode)
    ink = Image.new("RGB", (1, 1), color).convert(mode).getpixel((0, 0))
    assert isinstance(ink, tuple)
    return ink
