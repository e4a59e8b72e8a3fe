"""Draw the images of the documentation: a photograph in the public domain, before and after each effect."""

import io
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from PIL import Image

from services.blur_worker.engine import Limits, blur
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FACE = Region("ellipse", left=0.335, top=0.09, width=0.21, height=0.29, feather=0.02)
STRIP = (
    BlurSpec(effect=Gaussian(10)),
    BlurSpec(effect=Gaussian(14), regions=(FACE,)),
    BlurSpec(effect=Pixelate(18), regions=(FACE,)),
    BlurSpec(effect=Redact(), regions=(FACE,)),
)
EFFECTS: tuple[Effect, ...] = (
    Gaussian(5), Gaussian(20), Pixelate(16), Pixelate(0.08, relative=True), Solid("#1d2b3a"), Redact()
)  # fmt: skip
PLACES = (
    BlurSpec(),
    BlurSpec(regions=(Region("box", 0.3, 0.05, 0.28, 0.36),)),
    BlurSpec(regions=(replace(FACE, padding=0.03, feather=0.12),)),
    BlurSpec(regions=(replace(FACE, padding=0.03, feather=0.12),), invert_regions=True),
)
GAP = 8


def main() -> None:
    """Write the README's strip, and a table of all effects: original, whole, box, feathered ellipse, inverted."""
    photograph = (files("skimage") / "data" / "astronaut.png").read_bytes()
    _sheet([[photograph, *(_blurred(photograph, spec) for spec in STRIP)]], side=320).save(
        IMAGES / "before-after.jpg", quality=88
    )
    rows = [
        [photograph, *(_blurred(photograph, replace(place, effect=effect)) for place in PLACES)] for effect in EFFECTS
    ]
    _sheet(rows, side=232).save(IMAGES / "effects.jpg", quality=86)


def _blurred(photograph: bytes, spec: BlurSpec) -> bytes:
    return blur(photograph, spec, Limits(max_pixels=10_000_000)).data


def _sheet(rows: list[list[bytes]], side: int) -> Image.Image:
    step = side + GAP
    sheet = Image.new("RGB", (step * len(rows[0]) - GAP, step * len(rows) - GAP), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            with Image.open(io.BytesIO(picture)) as image:
                small = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
                sheet.paste(small, (column * step, row * step))
    return sheet


if __name__ == "__main__":
    main()
