"""Pictures with annotated faces: as they are, turned, and many small ones in a collage."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

_GREY = (128, 128, 128)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture and what is on it."""

    name: str
    image: Image.Image
    faces: tuple[Box, ...] = ()
    ignored: tuple[Box, ...] = ()
    """Places that look like faces: neither found nor false."""

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.image.width * self.image.height / 1e6


def annotated(folder: Path) -> list[Picture]:
    """Return the pictures of a folder with a `boxes.json`: {file: {faces: [[left, top, right, bottom], …], ignore}}."""
    boxes = json.loads((folder / "boxes.json").read_text(encoding="utf-8"))
    return [
        Picture(
            name=name,
            image=_opened(folder / name),
            faces=tuple(map(tuple, about["faces"])),
            ignored=tuple(map(tuple, about.get("ignore", ()))),
        )
        for name, about in boxes.items()
    ]


def without_faces(folder: Path) -> list[Picture]:
    """Return the pictures of a folder."""
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes)
    return [Picture(name=file.name, image=_opened(file)) for file in files]


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB")


def turned(picture: Picture, degrees: float) -> Picture:
    """Return a picture turned anticlockwise, on grey. A face's box is that of the ellipse in its former box, turned."""
    image = picture.image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=_GREY)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    old, new = picture.image.size, image.size

    def box(former: Box) -> Box:
        x, y = (former[0] + former[2] - old[0]) / 2, (former[1] + former[3] - old[1]) / 2
        x, y = new[0] / 2 + x * cosine + y * sine, new[1] / 2 - x * sine + y * cosine
        half_width, half_height = (former[2] - former[0]) / 2, (former[3] - former[1]) / 2
        wide = math.hypot(half_width * cosine, half_height * sine)
        high = math.hypot(half_width * sine, half_height * cosine)
        return (x - wide, y - high, x + wide, y + high)

    return replace(
        picture,
        name=f"{picture.name} turned by {degrees:g}°",
        image=image,
        faces=tuple(map(box, picture.faces)),
        ignored=tuple(map(box, picture.ignored)),
    )


def scaled(picture: Picture, scale: float) -> Picture:
    """Return a smaller picture."""
    size = (max(1, round(picture.image.width * scale)), max(1, round(picture.image.height * scale)))
    across, down = size[0] / picture.image.width, size[1] / picture.image.height

    def box(former: Box) -> Box:
        return (former[0] * across, former[1] * down, former[2] * across, former[3] * down)

    return Picture(
        name=f"{picture.name} × {scale:.2f}",
        image=picture.image.resize(size, Image.Resampling.LANCZOS),
        faces=tuple(map(box, picture.faces)),
        ignored=tuple(map(box, picture.ignored)),
    )


def collage(pictures: list[Picture], megapixels: float, seed: int = 1) -> Picture:
    """Return a picture 4:3 of small copies of pictures in rows; their smallest face is 16 to 32 pixels high."""
    chance = random.Random(seed)
    width = round(math.sqrt(megapixels * 4e6 / 3))
    height = round(width * 3 / 4)
    sheet = Image.new("RGB", (width, height), _GREY)
    faces: list[Box] = []
    ignored: list[Box] = []
    small = _small_copies(pictures, chance)
    left = top = row_height = 0
    while top < height:
        copy = next(small)
        if left + copy.image.width > width:
            left, top, row_height = 0, top + row_height, 0
        if copy.image.width > width or top + copy.image.height > height:
            break
        sheet.paste(copy.image, (left, top))
        faces += [_moved(box, left, top) for box in copy.faces]
        ignored += [_moved(box, left, top) for box in copy.ignored]
        left += copy.image.width
        row_height = max(row_height, copy.image.height)
    return Picture(name=f"collage {seed}", image=sheet, faces=tuple(faces), ignored=tuple(ignored))


def _small_copies(pictures: list[Picture], chance: random.Random) -> Iterator[Picture]:
    while True:
        for picture in chance.sample(pictures, len(pictures)):
            smallest = min((bottom - top for _, top, _, bottom in picture.faces), default=0)
            if smallest:
                yield scaled(picture, min(1, chance.uniform(16, 32) / smallest))


def _moved(box: Box, right: float, down: float) -> Box:
    return (box[0] + right, box[1] + down, box[2] + right, box[3] + down)
