"""The pictures that are attacked: something drawn on a plain canvas, and the part that an effect has hidden."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.blur_frame import blur_frame
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import BlurSpec, Effect, Region, Shape

Picture = NDArray[np.uint8]
"""Shape (height, width, channels); grey or RGB."""
_MARGIN_PX = 16
_CANVAS = 140
_NOISE = 3.0


def place(picture: Picture, shape: Shape, rng: np.random.Generator | None = None) -> Picture:
    """Return a picture on a canvas, cut to the shape that will hide it: around it nothing of it is to be seen.

    With `rng`, the noise of a camera is all over the canvas.
    """
    canvas = np.pad(picture.astype(np.float64), ((_MARGIN_PX,) * 2, (_MARGIN_PX,) * 2, (0, 0)), constant_values=_CANVAS)
    if shape == "ellipse":
        canvas[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX][_outside(picture)] = _CANVAS
    if rng is not None:
        canvas += rng.normal(0, _NOISE, canvas.shape)
    return np.rint(canvas).clip(0, 255).astype(np.uint8)


def hidden_part(canvas: Picture, effect: Effect | None, shape: Shape) -> NDArray[np.float64]:
    """Hide what was placed on a canvas, with the engine itself, and return these pixels; None hides nothing."""
    height, width, channels = canvas.shape
    if effect is not None:
        left, top = _MARGIN_PX / width, _MARGIN_PX / height
        region = Region(shape, left, top, 1 - 2 * left, 1 - 2 * top)
        frame = Frame(Raster("L" if channels == 1 else "RGB", canvas))
        canvas = blur_frame(frame, BlurSpec(effect, (region,))).raster.samples.astype(np.uint8)
    return canvas[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX].astype(np.float64)


def _outside(picture: Picture) -> NDArray[np.bool_]:
    """Which pixels of a picture are outside of the ellipse inscribed in it."""
    y, x = ((np.arange(side) + 0.5) * 2 / side - 1 for side in picture.shape[:2])
    outside: NDArray[np.bool_] = y[:, np.newaxis] ** 2 + x**2 > 1
    return outside
