"""Read lines of text: the recognition model and its CTC output."""

import unicodedata
from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.blur_worker.engine.finding.detector import RgbPixels
from services.blur_worker.engine.finding.onnx_session import Array, OnnxSession
from services.blur_worker.engine.finding.text.lines import Line

_HEIGHT = 48
"""Height of the model's input, in pixels."""
_MAX_WIDTH = 48 * 48
"""Bounds the memory of a run; longer lines are squeezed."""
_WIDTH_STEP = 32
_MARGIN = 0.1
"""Around a line, as a fraction of its thickness: the model was trained with it."""
_STEEP = 0.7
"""Lines are read upwards and downwards, if the vertical part of their direction is more."""
_SURE = 0.9
"""Mean probability of the characters; a line is not read the other way then."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The text of a line."""

    line: Line
    """In the direction that it was read."""
    text: str
    positions: tuple[float, ...]
    """Centre of each character, as a fraction of the line's length."""
    confidence: float
    """Mean probability of the characters, 0 to 1."""


class Reader:
    """Reads lines with the recognition model."""

    def __init__(self, session: OnnxSession) -> None:
        """Take the model, whose metadata holds its characters."""
        self._session = session
        # Output 0 is CTC's blank; the last one a space.
        self._characters = ["", *(_folded(text) for text in session.metadata["character"].split("\n")), " "]

    def read(self, pixels: RgbPixels, line: Line, *, upside_down: bool) -> Reading:
        """Return the text of a line.

        Args:
            pixels: The whole image.
            line: Which line.
            upside_down: Try lines that are hard to read upside down, too.
        """
        reading = self._read(pixels, line)
        if (abs(line.uy) > _STEEP or upside_down) and reading.confidence < _SURE:
            other = self._read(pixels, line.reversed())
            return max(reading, other, key=lambda one: one.confidence * len(one.text) ** 0.5)
        return reading

    def _read(self, pixels: RgbPixels, line: Line) -> Reading:
        margin = _MARGIN * line.thickness
        values, width = _model_input(pixels, line.grown(margin))
        output = self._session.run(values)[0][0]
        best = output.argmax(axis=1)
        starts = (best != 0) & (best != np.concatenate([[0], best[:-1]]))
        steps = np.flatnonzero(starts)
        texts = [self._characters[best[step]] for step in steps]
        pixels_per_step = values.shape[3] / len(output)
        whole = line.length + 2 * margin
        positions = [((step + 0.5) * pixels_per_step / width * whole - margin) / line.length for step in steps]
        return Reading(
            line=line,
            text="".join(texts),
            positions=tuple(min(max(position, 0.0), 1.0) for position in positions),
            confidence=float(output[steps, best[steps]].mean()) if len(steps) else 0.0,
        )


def _folded(text: str) -> str:
    """Return a character of the model's as one character, full-width forms as the usual ones."""
    folded = unicodedata.normalize("NFKC", text)
    return folded if len(folded) == 1 else text[:1] or " "


def _model_input(pixels: RgbPixels, line: Line) -> tuple[Array, int]:
    """Return the line turned upright, blue, green, red from -1 to 1, and its width; zeros fill the rest."""
    width = min(max(round(_HEIGHT * line.length / line.thickness), _HEIGHT // 2), _MAX_WIDTH)
    upright = np.asarray(_upright(pixels, line, width).resize((width, _HEIGHT), Image.Resampling.BILINEAR))
    values = np.zeros((1, 3, _HEIGHT, -(-width // _WIDTH_STEP) * _WIDTH_STEP), np.float32)
    inner = values[0, :, :, :width]
    np.multiply(upright.transpose(2, 0, 1)[::-1], np.float32(2 / 255), out=inner, casting="unsafe")
    inner -= 1
    return values, width


def _upright(pixels: RgbPixels, line: Line, width: int) -> Image.Image:
    """Return the line's rectangle, at the size of the model's input (with this width) or larger."""
    left, top, right, bottom = line.box()
    image_height, image_width = pixels.shape[:2]
    x0, y0 = max(int(left) - 1, 0), max(int(top) - 1, 0)
    part = pixels[y0 : min(int(bottom) + 2, image_height), x0 : min(int(right) + 2, image_width)]
    part_image = Image.fromarray(part)
    # Large text is reduced first: the transformation takes single pixels.
    factor = max(1, int(line.thickness / (2 * _HEIGHT)))
    if factor > 1:
        part_image = part_image.reduce(factor)
    # Small text is enlarged in the same step, so that it is smoothed once.
    out_height = max(_HEIGHT, round(line.thickness / factor))
    out_width = width if out_height == _HEIGHT else max(1, round(line.length / factor))
    # The corner of the rectangle from which it is read, in pixels of the part.
    corner_x = (line.x - line.ux * line.length / 2 + line.uy * line.thickness / 2 - x0) / factor
    corner_y = (line.y - line.uy * line.length / 2 - line.ux * line.thickness / 2 - y0) / factor
    step_x, step_y = line.length / factor / out_width, line.thickness / factor / out_height
    coefficients = (
        line.ux * step_x, -line.uy * step_y, corner_x,
        line.uy * step_x, line.ux * step_y, corner_y,
    )  # fmt: skip
    return part_image.transform((out_width, out_height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
