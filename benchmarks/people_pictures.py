"""Photographs of people, made of those that scikit-image contains: one face on many backgrounds, and what is to review.

Two pictures show a portrait on a wall, which is to stay; in one somebody wears sunglasses and a scarf.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
SIZE = (1600, 1200)
_PHOTOGRAPHS = Path(str(files("skimage") / "data"))
_BACKGROUNDS = (
    "rocket.jpg",
    "coffee.png",
    "hubble_deep_field.jpg",
    "chelsea.png",
    "grass.png",
    "brick.png",
    "gravel.png",
)
_HEAD = (120, 0, 350, 250)
"""Head and shoulders in astronaut.png."""
_FACE = (179, 62, 266, 178)
"""The face in it."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A picture and what is on it."""

    name: str
    image: Image.Image
    hide: tuple[Box, ...]
    """Faces that nobody may recognise."""
    leave: tuple[Box, ...] = ()
    """Faces that are to stay."""


def photographs(seed: int, count: int = 20) -> Iterator[Photograph]:
    """Yield the pictures; the same for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        image = _background(rng, number)
        hide, leave = [], []
        places = _places(rng, number)
        for index, (left, top, height) in enumerate(places):
            box = _paste(image, rng, left, top, height)
            if number == 4 and index == 0:
                _cover(image, box)
            hide.append(box)
        if number in {2, 9}:
            leave.append(_portrait(image, rng))
        yield Photograph(name=f"people-{number + 1:02d}.jpg", image=image, hide=tuple(hide), leave=tuple(leave))


def _background(rng: random.Random, number: int) -> Image.Image:
    with Image.open(_PHOTOGRAPHS / _BACKGROUNDS[number % len(_BACKGROUNDS)]) as opened:
        picture = opened.convert("RGB")
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = picture.resize(SIZE, Image.Resampling.BICUBIC)
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.7, 1.1))


def _places(rng: random.Random, number: int) -> list[tuple[int, int, int]]:
    """Return left, top and height of heads that do not overlap."""
    people = 1 + number % 3
    return [
        (80 + 480 * column + rng.randint(0, 120), rng.randint(250, 600), rng.randint(180, 330))
        for column in range(people)
    ]


def _paste(image: Image.Image, rng: random.Random, left: int, top: int, height: int) -> Box:
    """Paste a head of this height; return where its face is."""
    with Image.open(_PHOTOGRAPHS / "astronaut.png") as opened:
        head = opened.convert("RGB").crop(_HEAD)
    mirrored = rng.random() < 0.5
    if mirrored:
        head = head.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    head = ImageEnhance.Brightness(head).enhance(rng.uniform(0.75, 1.2))
    head = ImageEnhance.Color(head).enhance(rng.uniform(0.5, 1.2))
    scale = height / head.height
    width = round(head.width * scale)
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).ellipse((width * 0.02, height * 0.02, width * 0.98, height * 1.15), fill=255)
    image.paste(
        head.resize((width, height), Image.Resampling.LANCZOS), (left, top), mask.filter(ImageFilter.GaussianBlur(4))
    )
    sides = [(_FACE[index] - _HEAD[index % 2]) * scale for index in range(4)]
    if mirrored:
        sides[0], sides[2] = width - sides[2], width - sides[0]
    return left + sides[0], top + sides[1], left + sides[2], top + sides[3]


def _cover(image: Image.Image, face: Box) -> None:
    """Put on sunglasses and a scarf, so that a search misses the face and a person does not."""
    left, top, right, bottom = face
    width, height = right - left, bottom - top
    draw = ImageDraw.Draw(image)
    for begin, end in ((0.2, 0.5), (0.56, 1.35)):
        draw.rectangle(
            (left - 0.25 * width, top + begin * height, right + 0.25 * width, top + end * height), fill=(52, 40, 36)
        )


def _portrait(image: Image.Image, rng: random.Random) -> Box:
    """Hang a framed portrait on the wall; return where its face is."""
    left, top, width, height = 1250, 60, 230, 250
    ImageDraw.Draw(image).rectangle((left - 14, top - 14, left + width + 14, top + height + 14), fill=(94, 62, 30))
    with Image.open(_PHOTOGRAPHS / "astronaut.png") as opened:
        picture = opened.convert("L").convert("RGB").crop(_HEAD)
    image.paste(ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.1)), (left, top))
    sides = [_FACE[index] - _HEAD[index % 2] for index in range(4)]
    return left + sides[0], top + sides[1], left + sides[2], top + sides[3]
