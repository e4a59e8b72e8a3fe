"""How likely each pixel belongs to text: the detection model, run on tiles."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.detector import RgbPixels
from services.blur_worker.engine.finding.onnx_session import Array, OnnxSession

_STEP = 32
"""The model reduces its input by it: sides are multiples."""
_TILE = 640
"""Side of a tile without its margin; bounds the memory of a run."""
_MARGIN = 32
"""Around a tile, so that text at its border is seen with its surroundings."""
_FLAT = 20
"""Blocks whose samples differ by less hold no text that could be read."""

Map = NDArray[np.uint8]


def probability_map(session: OnnxSession, pixels: RgbPixels, wanted: NDArray[np.bool_] | None = None) -> Map:
    """Return the probabilities, times 255, of pixels to belong to text.

    Args:
        session: The detection model.
        pixels: The image at the scale to look at.
        wanted: Look at these blocks of 32 × 32 pixels only; shape (rows, columns) of blocks, partial ones included.
            None: at all.
    """
    height, width = pixels.shape[:2]
    found = np.zeros((height, width), np.uint8)
    active = active_blocks(pixels)
    if wanted is not None:
        active &= wanted
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            blocks = active[top // _STEP : -(-bottom // _STEP), left // _STEP : -(-right // _STEP)]
            rows, columns = np.flatnonzero(blocks.any(axis=1)), np.flatnonzero(blocks.any(axis=0))
            if len(rows) == 0:
                continue
            core = (
                top + int(rows[0]) * _STEP,
                min(top + (int(rows[-1]) + 1) * _STEP, bottom),
                left + int(columns[0]) * _STEP,
                min(left + (int(columns[-1]) + 1) * _STEP, right),
            )
            _look(session, pixels, core, found)
    return found


def active_blocks(pixels: RgbPixels) -> NDArray[np.bool_]:
    """Return which blocks of 32 × 32 pixels are not flat; those around them included."""
    height, width = pixels.shape[:2]
    rows, columns = np.arange(0, height, _STEP), np.arange(0, width, _STEP)
    green = pixels[:, :, 1]
    highest = np.maximum.reduceat(np.maximum.reduceat(green, rows, axis=0), columns, axis=1)
    lowest = np.minimum.reduceat(np.minimum.reduceat(green, rows, axis=0), columns, axis=1)
    return widened(highest - lowest >= _FLAT)


def widened(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the blocks and those that touch them."""
    padded = np.pad(blocks, 1)
    vertical = padded[:-2] | padded[1:-1] | padded[2:]
    return vertical[:, :-2] | vertical[:, 1:-1] | vertical[:, 2:]


def _look(session: OnnxSession, pixels: RgbPixels, core: tuple[int, int, int, int], found: Map) -> None:
    """Set the probabilities of a part (top, bottom, left, right), which is seen with a margin."""
    height, width = pixels.shape[:2]
    top, bottom, left, right = core
    outer_top, outer_bottom = max(top - _MARGIN, 0), min(bottom + _MARGIN, height)
    outer_left, outer_right = max(left - _MARGIN, 0), min(right + _MARGIN, width)
    part = pixels[outer_top:outer_bottom, outer_left:outer_right]
    output = session.run(_model_input(part))[0][0, 0]
    inner = output[top - outer_top : bottom - outer_top, left - outer_left : right - outer_left]
    found[top:bottom, left:right] = inner * np.float32(255)


def _model_input(part: RgbPixels) -> Array:
    """Return blue, green, red from -1 to 1, the sides multiples of 32: the border is repeated."""
    height, width = part.shape[:2]
    values = np.empty((1, 3, -(-height // _STEP) * _STEP, -(-width // _STEP) * _STEP), np.float32)
    inner = values[0, :, :height, :width]
    np.multiply(part.transpose(2, 0, 1)[::-1], np.float32(2 / 255), out=inner, casting="unsafe")
    inner -= 1
    values[0, :, height:, :width] = values[0, :, height - 1 : height, :width]
    values[0, :, :, width:] = values[0, :, :, width - 1 : width]
    return values


def _spans(length: int) -> Iterator[tuple[int, int]]:
    """Yield starts and ends of tiles of about the same size, in whole blocks."""
    tiles = max(1, round(length / _TILE))
    blocks = -(-length // _STEP)
    for i in range(tiles):
        start, end = blocks * i // tiles, blocks * (i + 1) // tiles
        yield start * _STEP, min(end * _STEP, length)
