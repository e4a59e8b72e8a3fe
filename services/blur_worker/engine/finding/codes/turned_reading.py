"""Read a part of an image that is turned upright and enlarged first."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.finding.codes.quadrilateral import Code, read_codes

_ENLARGE_BELOW = 700
"""Parts smaller than it, in pixels, are enlarged twice: turning blurs thin bars."""


def read_turned(brightness: NDArray[np.uint8], centre: tuple[float, float], radius: float, angle: float) -> list[Code]:
    """Return the codes in a square part of the image.

    Args:
        brightness: The image.
        centre: Of the part, x and y in pixels.
        radius: Half of the side of the part.
        angle: Of the direction that becomes the rows, in radians.
    """
    factor = 2.0 if 2 * radius < _ENLARGE_BELOW else 1.0
    side = max(int(2 * radius * factor), 8)
    cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
    half = side / 2
    x0 = centre[0] - cosine * half + sine * half
    y0 = centre[1] - sine * half - cosine * half
    # Only the surroundings become an image of Pillow's.
    reach = radius * math.sqrt(2) + 2
    left, top = max(int(centre[0] - reach), 0), max(int(centre[1] - reach), 0)
    part = brightness[top : int(centre[1] + reach) + 1, left : int(centre[0] + reach) + 1]
    turned = Image.fromarray(np.ascontiguousarray(part)).transform(
        (side, side),
        Image.Transform.AFFINE,
        (cosine, -sine, x0 - left, sine, cosine, y0 - top),
        Image.Resampling.BICUBIC,
        fillcolor=255,
    )
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    return [code.moved(code.corners @ matrix + (x0, y0)) for code in read_codes(np.asarray(turned))]
