"""The summary in an archive: what was done to each image, for programs (`summary.json`) and people (`summary.txt`).

It depends on rows alone, so that an order's archive has the same bytes whenever it is made.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.db.clock import to_datetime
from services.common.db.models import Image, Order
from services.common.domain.findings import Check, CheckState, Inspection
from services.common.domain.orders import ImageState
from services.common.domain.spec import BlurSpec, Effect, Find, Gaussian, Pixelate, Redact, Region, Solid

JSON_NAME, TEXT_NAME = "summary.json", "summary.txt"
"""No result has such a name: theirs begin with `blur_`."""
_HEAD = """\
What ImageBlur did to the images of order {order_id}, placed {placed}.

Redaction and a solid fill cannot be undone. Gaussian blur and pixelation are cosmetic: what they hide can sometimes be
guessed. Finding is not perfect: look at an image before you pass it on, above all where the check asks for it.
SHA-256 sums show whether a file is unchanged: sha256sum FILE
"""


@dataclass(frozen=True, kw_only=True)
class SummaryLine:
    """The part of the summary about one image."""

    values: Mapping[str, Any]
    """For JSON."""
    text: str

    @property
    def size(self) -> int:
        """Bytes that it takes in both files, separators included."""
        return len(_to_json(self.values)) + len(self.text.encode()) + len(", \n")


def line(order: Order, image: Image, name: str | None) -> SummaryLine:
    """Return the summary of an image; `name`: its result's in the archive, None without a result."""
    spec = BlurSpec.from_json(image.spec or order.spec)
    inspection = Inspection.from_json(image.findings) if image.findings else Inspection()
    spec_values = spec.to_values()
    values: dict[str, Any] = {
        "position": image.position,
        "file": name,
        "original_name": image.filename,
        # What an image with a result is while it may be replaced, or after a revision that failed.
        "state": ImageState.SUCCEEDED if name else image.state,
        **({"reason": image.reason, "message": image.message} if image.reason and not name else {}),
        "effect": spec_values["effect"],
        "irreversible": _is_irreversible(spec, inspection),
        "regions": spec_values["regions"],
        "invert_regions": spec.invert_regions,
        **{name: spec_values[name] for name in ("find", "effort", "exclude_regions") if name in spec_values},
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
        if spec.find:
            values |= inspection.to_values()
    return SummaryLine(values=values, text=_text(image, name, spec, inspection))


def files(order: Order, lines: Sequence[SummaryLine]) -> list[tuple[str, bytes]]:
    """Return the summary's two files: names and bytes."""
    placed = to_datetime(order.created_at)
    values = {
        "order_id": str(order.id),
        "placed": placed.isoformat(timespec="seconds"),
        "images": [one.values for one in lines],
    }
    text = _HEAD.format(order_id=order.id, placed=f"{placed:%Y-%m-%d %H:%M} UTC")
    text += "".join("\n" + one.text for one in lines)
    return [(JSON_NAME, _to_json(values)), (TEXT_NAME, text.encode())]


def _to_json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


def _is_irreversible(spec: BlurSpec, inspection: Inspection) -> bool:
    regions = (*spec.regions, *(finding.region for finding in inspection.findings if finding.applied))
    effects = (spec.effect, *(region.effect for region in regions if region.effect))
    return all(effect.irreversible for effect in effects)


def _text(image: Image, name: str | None, spec: BlurSpec, inspection: Inspection) -> str:
    lines = [f"{image.position}. {name or image.state}"]
    if image.reason and not name:
        lines.append(f"   failed   {image.reason}: {_printable(image.message or '')}")
    lines += [
        f"   from     {_printable(image.filename)}, {image.input_bytes} bytes",
        f"   sha256   {image.input_sha256 or 'not recorded'}",
        f"   effect   {_effect(spec.effect)}",
        f"   where    {_where(spec)}",
    ]
    if name and spec.find:
        lines += [f"   found    {_found(inspection)}", f"   check    {_checked(inspection.check)}"]
    if name:
        lines += [
            f"   to       {name}, {image.output_bytes} bytes, {image.width} x {image.height}, {image.format}",
            f"   sha256   {image.output_sha256}",
            f"   engine   {image.engine or 'not recorded'}",
        ]
    return "\n".join(lines) + "\n"


_CHECKS = {
    CheckState.CLEAN: "nothing that was to be hidden is found in the result",
    CheckState.REMAINING: "SOMETHING THAT WAS TO BE HIDDEN IS STILL FOUND in the result: look at it",
    CheckState.NOT_CHECKED: "the result was not checked",
}


def _checked(check: Check) -> str:
    stronger = "; hidden more strongly than asked for, since it was found at first" if check.strengthened else ""
    return _CHECKS[check.state] + stronger


def _found(inspection: Inspection) -> str:
    counts = Counter(finding.label or finding.kind.value for finding in inspection.findings)
    if not counts:
        return "nothing"
    listed = ", ".join(f"{count} x {_printable(what)}" for what, count in sorted(counts.items()))
    return f"{listed}; {inspection.hidden} of them hidden"


def _effect(effect: Effect) -> str:
    match effect:
        case Gaussian(sigma, relative):
            return f"Gaussian blur, sigma {sigma:g}" + (" of the shorter side" if relative else " px")
        case Pixelate(cell, relative):
            return f"pixelation, cells of {cell:g}" + (" of the shorter side" if relative else " px")
        case Solid(color):
            return f"solid fill, {color}"
        case Redact():
            return "redaction"


def _where(spec: BlurSpec) -> str:
    if not (spec.regions or spec.find):
        return "the whole image"
    parts = [*map(_find, spec.find), *map(_region, spec.regions)]
    return ("everything but " if spec.invert_regions else "") + "; ".join(parts)


def _find(find: Find) -> str:
    if find.model:
        return f"what {_printable(find.model)} finds"
    classes = ", ".join(text_class.value for text_class in find.text_classes)
    return f"every {find.kind}" + (f" ({classes})" if classes else "")


def _region(region: Region) -> str:
    match region.shape:
        case "polygon":
            outline = f"of {len(region.points)} corners in "
        case "brush":
            outline = f"of {len(region.strokes)} {'stroke' if len(region.strokes) == 1 else 'strokes'} around "
        case _:
            outline = ""
    outline += ", ".join(f"{value:g}" for value in (region.left, region.top, region.width, region.height))
    extras = [f", {name} {value:g}" for name in ("padding", "feather") if (value := getattr(region, name))]
    own = [f", {_effect(region.effect)}"] if region.effect else []
    return f"{region.shape} {outline}" + "".join(extras + own)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
