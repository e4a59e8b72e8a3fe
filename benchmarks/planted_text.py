"""Pictures with planted texts, whose places are known; drawn with the fonts that matplotlib carries."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Italic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
SIZES = (10, 14, 20, 32, 56)
ANGLES = (0, -10, 10)
BACKGROUNDS = ("plain", "noise", "photograph")
TEXTS = {
    "E_MAIL": ("anna.keller@example.org", "j-brown82@mail.example.com", "info@example.net"),
    "PHONE": ("+49 30 901820", "(020) 7946 0958", "+1 555-010-2233", "0171 3920 174"),
    "CARD": ("4111 1111 1111 1111", "5500-0055-5555-5559", "340000099900036"),
    "IBAN": ("DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32", "NL91ABNA0417164300"),
    "PLATE": ("B-MW 4721", "AB12 CDE", "AB-123-CD", "7KLM482"),
}
OTHER = ("Invoice of 2026-11-30", "the quick brown fox", "Version 10.2.3", "Total 1,249.00 EUR", "Platform 9, 12:45")
SIZE = (1280, 960)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One text in a picture."""

    text: str
    kind: str
    """Its class; empty: none."""
    font: str
    ink: NDArray[np.bool_]
    """Shape of the picture: the pixels that the text has changed noticeably."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the ink."""


@dataclass(frozen=True, kw_only=True)
class PlantedPicture:
    """A picture and its texts."""

    pixels: NDArray[np.uint8]
    texts: tuple[Planted, ...]
    size: int
    """Of the font, in pixels per em."""
    angle: int
    background: str


def pictures(seed: int = 1, sizes: tuple[int, ...] = SIZES) -> Iterator[PlantedPicture]:
    """Yield a picture for each size, angle and background, with a text in each font."""
    randomness = random.Random(seed)
    for size in sizes:
        for angle in ANGLES:
            for name in BACKGROUNDS:
                yield _picture(randomness, size, angle, name)


def _picture(randomness: random.Random, size: int, angle: int, background_name: str) -> PlantedPicture:
    canvas = background(randomness, background_name)
    free = np.ones(canvas.shape[:2], np.bool_)
    kinds = [*TEXTS, *TEXTS, "", ""]
    randomness.shuffle(kinds)
    texts: list[Planted] = []
    for font, kind in zip(FONTS, kinds, strict=True):
        text = randomness.choice(TEXTS[kind] if kind else OTHER)
        planted = _plant(randomness, canvas, free, text=text, kind=kind, font_name=font, size=size, angle=angle)
        if planted:
            texts.append(planted)
    return PlantedPicture(pixels=canvas, texts=tuple(texts), size=size, angle=angle, background=background_name)


def background(randomness: random.Random, name: str) -> NDArray[np.uint8]:
    """Return a picture of SIZE without text; see BACKGROUNDS."""
    width, height = SIZE
    if name == "plain":
        return np.full(
            (height, width, 3), randomness.choice([(255, 255, 255), (245, 240, 220), (30, 40, 60)]), np.uint8
        )
    if name == "noise":
        noise = np.random.default_rng(randomness.randrange(2**32)).normal(0, 12, (height, width, 3))
        slope = np.linspace(120, 220, width)[np.newaxis, :, np.newaxis]
        return np.clip(noise + slope, 0, 255).astype(np.uint8)
    path = Path(str(files("skimage"))) / "data" / randomness.choice(["astronaut.png", "coffee.png"])
    with Image.open(path) as photograph:
        return np.array(photograph.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC))


def _plant(
    randomness: random.Random,
    canvas: NDArray[np.uint8],
    free: NDArray[np.bool_],
    *,
    text: str,
    kind: str,
    font_name: str,
    size: int,
    angle: int,
) -> Planted | None:
    """Draw a text where nothing is yet; None if it finds no place."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{font_name}.ttf"
    font = ImageFont.truetype(path, size)
    left, top, right, bottom = font.getbbox(text)
    layer = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(layer).text((4 - left, 4 - top), text, fill=255, font=font)
    alpha = np.array(layer.rotate(angle, Image.Resampling.BICUBIC, expand=True))
    rows, columns = np.flatnonzero(alpha.max(1) > 64), np.flatnonzero(alpha.max(0) > 64)
    alpha = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = alpha.shape
    gap = size // 2 + 6
    for _ in range(300):
        y = randomness.randrange(gap, max(canvas.shape[0] - height - gap, gap + 1))
        x = randomness.randrange(gap, max(canvas.shape[1] - width - gap, gap + 1))
        if x + width > canvas.shape[1] or y + height > canvas.shape[0]:
            return None
        around = free[y - gap : y + height + gap, x - gap : x + width + gap]
        if around.all():
            break
    else:
        return None
    around[:] = False
    part = canvas[y : y + height, x : x + width]
    # As dark or as bright as the background allows.
    color = np.array([20, 20, 30] if part.mean() > 115 else [235, 235, 225])
    blend = alpha[:, :, np.newaxis] / 255
    part[:] = np.rint(part * (1 - blend) + color * blend)
    ink = np.zeros(canvas.shape[:2], np.bool_)
    ink[y : y + height, x : x + width] = alpha > 64
    return Planted(text=text, kind=kind, font=font_name, ink=ink, box=(x, y, x + width, y + height))
