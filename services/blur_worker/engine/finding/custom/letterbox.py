"""An image, or a tile of it, scaled into the input of a model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import RgbPixels
from services.blur_worker.engine.finding.onnx_session import Array

_GREY = 114
"""What YOLO models were trained with around the image."""
_OVERLAP = 0.2
"""Overlap of neighbouring tiles, as a fraction of a tile: what is larger is found in the whole image."""


@dataclass(frozen=True, kw_only=True)
class Letterboxed:
    """An input, and where the image is in it."""

    values: Array
    """Shape (1, 3, height, width), red, green, blue, 0 to 1."""
    scale: float
    """Pixels of the input per pixel of the image."""
    left: int
    """Left edge of the image in the input, in pixels; `top` likewise."""
    top: int


def letterbox(pixels: RgbPixels, width: int, height: int) -> Letterboxed:
    """Return the pixels scaled to fit into width × height, centred, the rest grey."""
    rows, columns = pixels.shape[:2]
    scale = min(width / columns, height / rows)
    inner_width, inner_height = max(1, round(columns * scale)), max(1, round(rows * scale))
    image = Image.fromarray(pixels)
    if image.size != (inner_width, inner_height):
        image = image.resize((inner_width, inner_height), Image.Resampling.BILINEAR, reducing_gap=2)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    values = np.full((1, 3, height, width), _GREY / 255, np.float32)
    inner = values[0, :, top : top + inner_height, left : left + inner_width]
    np.divide(np.asarray(image).transpose(2, 0, 1), 255, out=inner, casting="unsafe", dtype=np.float32)
    return Letterboxed(values=values, scale=scale, left=left, top=top)


def tiles(image: tuple[int, int], model: tuple[int, int], most_across: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the whole image and, if it is larger than the model's input, overlapping tiles.

    Args:
        image: Width and height in pixels.
        model: Width and height of the model's input.
        most_across: The image is scaled down to at most so many inputs across, not counting the overlap.

    Yields:
        Left, top, right, bottom in pixels of the image.
    """
    yield 0, 0, *image
    times = max(side / model_side for side, model_side in zip(image, model, strict=True))
    if times <= 1 or most_across <= 1:
        return
    scale = max(1.0, times / most_across)
    columns, rows = (_steps(side, round(model_side * scale)) for side, model_side in zip(image, model, strict=True))
    for top, bottom in rows:
        for left, right in columns:
            if (left, top, right, bottom) != (0, 0, *image):
                yield left, top, right, bottom


def _steps(length: int, tile: int) -> list[tuple[int, int]]:
    if length <= tile:
        return [(0, length)]
    n = -(-(length - tile) // round(tile * (1 - _OVERLAP))) + 1
    return [(start, start + tile) for start in (round(i * (length - tile) / (n - 1)) for i in range(n))]
