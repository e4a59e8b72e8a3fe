"""Pixelate, solid and redact, of the whole image and of a region: the engine against Pillow.

Pillow has no redaction: there the engine is compared with Pillow's decoding and encoding alone.
"""

import io
from collections.abc import Mapping

from PIL import Image

from benchmarks import peers, photographs
from benchmarks.report import table
from benchmarks.rounds import interleaved, ratio, size_ratio
from services.blur_worker.engine import blur
from services.common.domain.spec import BlurSpec, Effect, Pixelate, Redact, Region, Solid

_CELL = 24
_COLOR = "#000000"
_REGION = Region("box", 0.4, 0.3, 0.2, 0.25)
_EFFECTS: Mapping[str, Effect] = {"pixelate": Pixelate(_CELL), "solid": Solid(_COLOR), "redact": Redact()}


def effects(rounds: int) -> str:
    """Return the table of milliseconds and bytes."""
    crops = [photographs.cropped(name, 1640, 1200) for name in list(photographs.LARGE)[:5]]
    rows = []
    for format_, files in (
        ("JPEG", [photographs.jpeg(crop) for crop in crops]),
        ("PNG", [photographs.png(crop) for crop in crops]),
    ):
        for part, regions in (("whole", ()), ("region", (_REGION,))):
            for name, effect in _EFFECTS.items():
                spec = BlurSpec(effect, regions=regions)
                by_pillow = peers.by_pillow_without_blur if name == "redact" else _by_pillow(name, bool(regions))
                ways = {"engine": _by_engine(spec), "Pillow": by_pillow, "alone": peers.by_pillow_without_blur}
                found = interleaved(ways, files, 0, rounds)
                path = blur(files[0], spec, peers.LIMITS).path
                engine = found["engine"]
                rows.append(
                    [
                        f"{format_}, {name}, {part}",
                        *(f"{each.milliseconds:.1f}" for each in (engine, found["Pillow"], found["alone"])),
                        str(ratio(found["Pillow"], engine)),
                        f"{size_ratio(engine, found['Pillow']):.3f}",
                        path,
                    ]
                )
    head = ["2 MP", "engine", "Pillow", "Pillow, no effect", "Pillow ÷ engine", "bytes against Pillow's", "path"]
    return (
        f"### Other effects\n\nCells of {_CELL} pixels; the region is a box of a twentieth of the image. "
        "For redact, which Pillow does not have, its column is decoding and encoding alone. Milliseconds, medians:\n\n"
        + table(head, rows)
    )


def _by_engine(spec: BlurSpec) -> peers.Blur:
    return lambda data, _sigma: blur(data, spec, peers.LIMITS).data


def _by_pillow(name: str, region: bool) -> peers.Blur:
    def by_pillow(data: bytes, _sigma: float) -> bytes:
        with Image.open(io.BytesIO(data)) as image:
            box = (0, 0, *image.size)
            if region:
                left, top = round(_REGION.left * image.width), round(_REGION.top * image.height)
                box = left, top, left + round(_REGION.width * image.width), top + round(_REGION.height * image.height)
            part = image.crop(box)
            if name == "solid":
                part = Image.new(image.mode, part.size, _COLOR)
            else:
                part = part.reduce(_CELL).resize(part.size, Image.Resampling.NEAREST)
            image.paste(part, box)
            return peers.saved(image, image.format)

    return by_pillow
