"""The effects. To add one, write a module with a `PixelEffect` and give it a case in `pixel_effect`.

ARCHITECTURE.md lists the places outside the engine.
"""

from typing import Protocol

from services.blur_worker.engine.effects.gaussian import GaussianBlur, most_scale
from services.blur_worker.engine.effects.pixelate import Pixelation
from services.blur_worker.engine.effects.redact import Redaction
from services.blur_worker.engine.effects.solid import SolidFill
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Effect, Gaussian, Pixelate, Redact, Solid

__all__ = ["PixelEffect", "pixel_effect"]


class PixelEffect(Protocol):
    """An effect with its parameters in pixels.

    On a part of an image it has to give the same pixels as on the whole image, if the part begins at a multiple of
    `grid` and extends by `margin` beyond the pixels that are used of it.
    """

    @property
    def grid(self) -> int:
        """Pixels between the positions at which the effect starts anew, such as the side of a cell; 1 without cells."""

    @property
    def margin(self) -> int:
        """The largest distance, in pixels, of a pixel that the result of another one depends on."""

    def apply(self, raster: Raster) -> Raster:
        """Return all of the raster under the effect; mode, depth and size stay."""


def pixel_effect(effect: Effect, image: Raster) -> PixelEffect:
    """Return the implementation of a spec's effect for an image as displayed, to which relative parameters refer."""
    match effect:
        case Gaussian():
            return GaussianBlur(effect.sigma_px(*image.size), image.samples.itemsize, most_scale(*image.size))
        case Pixelate():
            return Pixelation(effect.cell_px(*image.size))
        case Solid():
            return SolidFill(effect.color)
        case Redact():
            return Redaction()
