"""Which effect wins where regions overlap."""

from services.blur_worker.engine.raster import Size
from services.common.domain.spec import Effect, Gaussian, Pixelate, Redact, Solid

Strength = tuple[int, float, int]


def strength(effect: Effect, size: Size) -> Strength:
    """Return a key by which stronger effects are greater, on a displayed image of this size in pixels.

    Solid is stronger than Redact, which is stronger than the others. Of these, the one that mixes pixels over a greater
    distance is: a cell of Pixelate is about as strong as a Gaussian whose sigma is half its side (docs/effects.md).
    """
    match effect:
        case Solid():
            return 2, 0, 0
        case Redact():
            return 1, 0, 0
        case Pixelate():
            return 0, effect.cell_px(*size) / 2, 1
        case Gaussian():
            return 0, effect.sigma_px(*size), 0


def at_least(effect: Effect, minimum: Effect, size: Size) -> Effect:
    """Return the stronger of two effects; the first one if they are equally strong."""
    return minimum if strength(minimum, size) > strength(effect, size) else effect
