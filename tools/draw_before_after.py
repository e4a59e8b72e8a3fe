"""Draw the README's picture: a photograph in the public domain, before and after, by the engine itself."""

import io
from importlib.resources import files
from pathlib import Path

from PIL import Image

from services.blur_worker.engine import Limits, blur
from services.common.spec import BlurSpec, Gaussian, Pixelate, Region, Solid

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "before-after.jpg"
FACE = Region("ellipse", left=0.335, top=0.09, width=0.21, height=0.29, feather=0.02)
SPECS = (
    BlurSpec(effect=Gaussian(10)),
    BlurSpec(effect=Gaussian(14), regions=(FACE,)),
    BlurSpec(effect=Pixelate(18), regions=(FACE,)),
    BlurSpec(effect=Solid("#1d2b3a"), regions=(FACE,)),
)


def main() -> None:
    """Write the picture: the photograph, then each spec's result, side by side."""
    data = (files("skimage") / "data" / "astronaut.png").read_bytes()
    pictures = [data, *(blur(data, spec, Limits(max_pixels=10_000_000)).data for spec in SPECS)]
    side = 320
    strip = Image.new("RGB", (side * len(pictures) + 8 * (len(pictures) - 1), side), "white")
    for index, picture in enumerate(pictures):
        with Image.open(io.BytesIO(picture)) as image:
            strip.paste(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), (index * (side + 8), 0))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    strip.save(TARGET, quality=88)


if __name__ == "__main__":
    main()
