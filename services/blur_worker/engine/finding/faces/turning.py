"""Turn an image whose faces are turned, and take the boxes back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.finding.detector import RgbPixels
from services.blur_worker.engine.finding.faces.decoding import Boxes

Sides = NDArray[np.floating[Any]]


def turned(pixels: RgbPixels, degrees: float) -> RgbPixels:
    """Return an image turned anticlockwise; it grows, with black in the corners."""
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR, expand=True))


def turned_back(boxes: Boxes, degrees: float, of: RgbPixels, to: RgbPixels) -> Boxes:
    """Return boxes of a turned image as upright boxes of the image: those of ellipses in them.

    Args:
        boxes: In pixels of `of`.
        degrees: By which the image was turned anticlockwise.
        of: The turned image.
        to: The image.
    """
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    across = boxes[:, [0, 2]].mean(axis=1) - of.shape[1] / 2
    down = boxes[:, [1, 3]].mean(axis=1) - of.shape[0] / 2
    x = to.shape[1] / 2 + cosine * across - sine * down
    y = to.shape[0] / 2 + sine * across + cosine * down
    wide, high = turned_sides(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], cosine, sine)
    sides = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2, boxes[:, 4])
    return np.stack(sides, axis=1).astype(np.float32)


def turned_sides(width: Sides, height: Sides, cosine: Any, sine: Any) -> tuple[Sides, Sides]:
    """Return the width and height of the upright box around a turned ellipse."""
    return np.hypot(width * cosine, height * sine), np.hypot(width * sine, height * cosine)
