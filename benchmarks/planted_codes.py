"""Pictures with planted codes, whose places are known; drawn by zxing-cpp's own writer."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from benchmarks.planted_text import BACKGROUNDS, background

SYMBOLOGIES = {
    "QR_CODE": (zxingcpp.BarcodeFormat.QRCode, "https://example.org/a?b=12345"),
    "EAN_13": (zxingcpp.BarcodeFormat.EAN13, "590123412345"),
    "CODE_128": (zxingcpp.BarcodeFormat.Code128, "ABC-1234567"),
    "DATA_MATRIX": (zxingcpp.BarcodeFormat.DataMatrix, "Hello 12345 world"),
    "PDF_417": (zxingcpp.BarcodeFormat.PDF417, "Hello 12345 world"),
    "AZTEC": (zxingcpp.BarcodeFormat.Aztec, "Hello 12345 world"),
}
MODULES = (1.5, 2, 3, 4, 5)
"""Widths of the narrowest bar or of a cell, in pixels."""
ANGLES = (0, 10, -30, 45, 90)
_OVERSAMPLE = 4
_MARGIN_MODULES = 6


@dataclass(frozen=True, kw_only=True)
class PlantedCode:
    """A picture with one code."""

    pixels: NDArray[np.uint8]
    label: str
    module: float
    angle: int
    background: str
    dark: NDArray[np.bool_]
    """Shape of the picture: the dark pixels of the code."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the dark pixels."""


def pictures(seed: int = 1, modules: tuple[float, ...] = MODULES) -> Iterator[PlantedCode]:
    """Yield a picture for each symbology, width of module, angle and background."""
    randomness = random.Random(seed)
    for label in SYMBOLOGIES:
        for module in modules:
            for angle in ANGLES:
                for name in BACKGROUNDS:
                    yield _picture(randomness, label, module, angle, name)


def _picture(randomness: random.Random, label: str, module: float, angle: int, name: str) -> PlantedCode:
    barcode_format, content = SYMBOLOGIES[label]
    image = zxingcpp.create_barcode(content, barcode_format).to_image(scale=1)
    cells = np.pad(np.array(image), _MARGIN_MODULES, constant_values=255)
    drawn = Image.fromarray(cells)
    height, width = cells.shape
    size = round(width * module * _OVERSAMPLE), round(height * module * _OVERSAMPLE)
    large = drawn.resize(size, Image.Resampling.NEAREST)
    paper = Image.new("L", large.size, 255).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    ink = Image.eval(large, lambda value: 255 - value).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    small = max(1, ink.width // _OVERSAMPLE), max(1, ink.height // _OVERSAMPLE)
    paper_alpha = np.asarray(paper.resize(small, Image.Resampling.BOX), np.float32)[:, :, np.newaxis] / 255
    ink_alpha = np.asarray(ink.resize(small, Image.Resampling.BOX), np.float32)[:, :, np.newaxis] / 255
    canvas = background(randomness, name)
    y, x = randomness.randrange(canvas.shape[0] - small[1]), randomness.randrange(canvas.shape[1] - small[0])
    part = canvas[y : y + small[1], x : x + small[0]]
    part[:] = np.rint((part * (1 - paper_alpha) + 245 * paper_alpha) * (1 - ink_alpha) + 20 * ink_alpha)
    dark = np.zeros(canvas.shape[:2], np.bool_)
    dark[y : y + small[1], x : x + small[0]] = ink_alpha[:, :, 0] > 0.5
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return PlantedCode(pixels=canvas, label=label, module=module, angle=angle, background=name, dark=dark, box=box)
