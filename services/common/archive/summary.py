"""The receipt inside an archive: what was done to each image, for programs (`summary.json`) and people (`summary.txt`).

It depends on rows alone, so that an order's archive has the same bytes whenever it is made.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.common.db.clock import to_datetime
from services.common.db.models import Image, Order
from services.common.domain.spec import BlurSpec, Gaussian, Pixelate, Region, Solid

JSON_NAME, TEXT_NAME = "summary.json", "summary.txt"
"""Nobody else's: names of results begin with `blur_`."""
_HEAD = """\
What ImageBlur has done to the images of order {order_id}, placed {placed}.

A solid fill cannot be undone. Gaussian blur and pixelation are cosmetic: what they hide can sometimes be guessed.
SHA-256 sums tell whether a file is the one that is meant: sha256sum FILE
"""


@dataclass(frozen=True)
class Line:
    """What the receipt says of one image; `name`: the result's in the archive, None without a result."""

    as_json: str
    as_text: str

    @property
    def size(self) -> int:
        """Bytes that it takes in both files."""
        return len(self.as_json.encode()) + len(self.as_text.encode()) + len(",\n\n")


def line(order: Order, image: Image, name: str | None) -> Line:
    """What the receipt says of an image."""
    spec = BlurSpec.from_json(image.spec or order.spec)
    values: dict[str, Any] = {
        "position": image.position,
        "file": name,
        "original_name": image.filename,
        "state": image.state,
        **({"reason": image.reason, "message": image.message} if image.reason else {}),
        "effect": json.loads(spec.to_json())["effect"],
        "irreversible": isinstance(spec.effect, Solid),
        "regions": json.loads(spec.to_json())["regions"],
        "invert_regions": spec.invert_regions,
        "input": {"bytes": image.input_bytes, "sha256": image.input_sha256},
    }
    if name:
        values["output"] = {
            "bytes": image.output_bytes,
            "sha256": image.output_sha256,
            "width": image.width,
            "height": image.height,
            "format": image.format,
        }
        values["engine"] = image.engine
    return Line("  " + json.dumps(values, ensure_ascii=False), _text(image, name, spec))


def files(order: Order, lines: Sequence[Line]) -> list[tuple[str, bytes]]:
    """The receipt's two files: names and bytes."""
    placed = to_datetime(order.created_at)
    head = json.dumps({"order_id": str(order.id), "placed": placed.isoformat(timespec="seconds")})[1:-1]
    as_json = f'{{{head}, "images": [\n' + ",\n".join(one.as_json for one in lines) + "\n]}\n"
    as_text = _HEAD.format(order_id=order.id, placed=f"{placed:%Y-%m-%d %H:%M} UTC")
    as_text += "".join("\n" + one.as_text for one in lines)
    return [(JSON_NAME, as_json.encode()), (TEXT_NAME, as_text.encode())]


def _text(image: Image, name: str | None, spec: BlurSpec) -> str:
    lines = [f"{image.position}. {name or image.state}"]
    if image.reason:
        lines.append(f"   failed   {image.reason}: {_printable(image.message or '')}")
    lines += [
        f"   from     {_printable(image.filename)}, {image.input_bytes} bytes",
        f"   sha256   {image.input_sha256 or 'not recorded'}",
        f"   effect   {_effect(spec)}",
        f"   where    {_where(spec)}",
    ]
    if name:
        lines += [
            f"   to       {name}, {image.output_bytes} bytes, {image.width} x {image.height}, {image.format}",
            f"   sha256   {image.output_sha256}",
            f"   engine   {image.engine or 'not recorded'}",
        ]
    return "\n".join(lines) + "\n"


def _effect(spec: BlurSpec) -> str:
    match spec.effect:
        case Gaussian(sigma, relative):
            return f"Gaussian blur, sigma {sigma:g}" + (" of the shorter side" if relative else " px")
        case Pixelate(cell, relative):
            return f"pixelation, cells of {cell:g}" + (" of the shorter side" if relative else " px")
        case Solid(color):
            return f"solid fill, {color}"


def _where(spec: BlurSpec) -> str:
    if not spec.regions:
        return "the whole image"
    return ("everything but " if spec.invert_regions else "") + "; ".join(map(_region, spec.regions))


def _region(region: Region) -> str:
    outline = ", ".join(f"{value:g}" for value in (region.left, region.top, region.width, region.height))
    extras = [f", {name} {value:g}" for name in ("padding", "feather") if (value := getattr(region, name))]
    return f"{region.shape} {outline}" + "".join(extras)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
