"""Pixelate, solid and redact, of whole images, and all effects on regions: the engine against Pillow.

Pillow has no redaction: there the engine is compared with Pillow's decoding and encoding alone.
"""

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageFilter

from benchmarks import peers, photographs
from benchmarks.report import table
from benchmarks.rounds import interleaved, ratio, size_ratio
from services.blur_worker.engine import blur
from services.common.domain.spec import BlurSpec, Effect, Gaussian, Pixelate, Redact, Region, Solid

_CELL = 24
_COLOR = "#000000"
_SIGMA = 5
_SIZES = {"2 MP": (1640, 1200), "12 MP": (4200, 2860)}
_EFFECTS: Mapping[str, Effect] = {
    "Gaussian": Gaussian(_SIGMA),
    "pixelate": Pixelate(_CELL),
    "solid": Solid(_COLOR),
    "redact": Redact(),
}
_REGIONS: Mapping[str, tuple[Region, ...]] = {
    "region": (Region("box", 0.4, 0.3, 0.2, 0.25),),
    "five faces": tuple(Region("box", 0.1 + 0.17 * at, 0.3 + 0.05 * (at % 3), 0.06, 0.11) for at in range(5)),
    "half": (Region("box", 0.25, 0, 0.5, 1),),
}


def effects(rounds: int) -> str:
    """Return the tables of milliseconds and bytes."""
    crops = [photographs.cropped(name, *_SIZES["2 MP"]) for name in list(photographs.LARGE)[:5]]
    jpegs, pngs = [photographs.jpeg(crop) for crop in crops], [photographs.png(crop) for crop in crops]
    whole = {name: effect for name, effect in _EFFECTS.items() if name != "Gaussian"}
    one = _REGIONS["region"]
    rows = [_row(f"JPEG, {name}, whole", jpegs, effect, (), rounds) for name, effect in whole.items()]
    rows += [_row(f"PNG, {name}, whole", pngs, effect, (), rounds) for name, effect in whole.items()]
    rows += [_row(f"PNG, {name}, region", pngs, effect, one, rounds) for name, effect in _EFFECTS.items()]
    head = ["engine", "Pillow", "Pillow, no effect", "Pillow ÷ engine", "bytes against Pillow's", "path"]
    large = [photographs.jpeg(photographs.cropped(name, *_SIZES["12 MP"])) for name in photographs.LARGEST]
    of_regions = [
        _row(f"{size}, {name}, {part}", files, effect, regions, rounds)
        for size, files in (("2 MP", jpegs), ("12 MP", large))
        for part, regions in _REGIONS.items()
        for name, effect in _EFFECTS.items()
    ]
    return (
        f"### Other effects\n\nGaussian of sigma {_SIGMA}, cells of {_CELL} pixels; the region is a box of a twentieth "
        "of the image. For redact, which Pillow does not have, its column is decoding and encoding alone. "
        f"Milliseconds, medians:\n\n{table(['2 MP', *head], rows)}\n"
        "### Regions of a JPEG\n\nThe same region, five of a 150th of the image each, and half of the image:\n\n"
        f"{table(['JPEG', *head], of_regions)}"
    )


def _row(title: str, files: Sequence[bytes], effect: Effect, regions: tuple[Region, ...], rounds: int) -> list[str]:
    spec = BlurSpec(effect, regions=regions)
    by_pillow = peers.by_pillow_without_blur if isinstance(effect, Redact) else _by_pillow(effect, regions)
    ways = {"engine": _by_engine(spec), "Pillow": by_pillow, "alone": peers.by_pillow_without_blur}
    found = interleaved(ways, files, 0, rounds)
    engine = found["engine"]
    return [
        title,
        *(f"{each.milliseconds:.1f}" for each in (engine, found["Pillow"], found["alone"])),
        str(ratio(found["Pillow"], engine)),
        f"{size_ratio(engine, found['Pillow']):.3f}",
        blur(files[0], spec, peers.LIMITS).path,
    ]


def _by_engine(spec: BlurSpec) -> peers.Blur:
    return lambda data, _sigma: blur(data, spec, peers.LIMITS).data


def _by_pillow(effect: Effect, regions: Sequence[Region]) -> peers.Blur:
    def by_pillow(data: bytes, _sigma: float) -> bytes:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            boxes = [
                (
                    round(each.left * width),
                    round(each.top * height),
                    round((each.left + each.width) * width),
                    round((each.top + each.height) * height),
                )
                for each in regions
            ]
            for box in boxes or [(0, 0, width, height)]:
                image.paste(_hidden(image.crop(box), effect), box)
            return peers.saved(image, image.format)

    return by_pillow


def _hidden(part: Image.Image, effect: Effect) -> Image.Image:
    match effect:
        case Gaussian():
            return part.filter(ImageFilter.GaussianBlur(_SIGMA))
        case Solid():
            return Image.new(part.mode, part.size, _COLOR)
        case _:
            return part.reduce(_CELL).resize(part.size, Image.Resampling.NEAREST)
