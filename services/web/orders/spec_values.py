"""What a person has chosen on the form, as JSON of the script or as form fields, converted to a blur spec."""

from collections.abc import Mapping, Sequence
from typing import Any

from imageblur.v1.order_pb2 import (
    BlurSpec,
    Find,
    FindingKind,
    Gaussian,
    ImageFormat,
    Pixelate,
    Point,
    Rect,
    Redact,
    Region,
    Solid,
    Stroke,
)

FORMATS = ("", "JPEG", "PNG", "WEBP", "AVIF")
FINDABLE = {
    "faces": FindingKind.FINDING_KIND_FACE,
    "text": FindingKind.FINDING_KIND_TEXT,
    "codes": FindingKind.FINDING_KIND_CODE,
}
"""What the page offers to find, if the server can: names of checkboxes are `find_` and one of these."""
DEFAULT_STRENGTH = 2.0
"""In per cent of an image's shorter side, so that the effect looks the same at any size."""
MIN_STRENGTH, MAX_STRENGTH = 0.1, 30.0
DEFAULT_QUALITY = 90
"""Quality of the encoder; sent only if it was changed, since a JPEG of which only regions change keeps its own."""
FIND_PADDINGS = (("model", ""), ("none", "0"), ("some", "0.25"), ("more", "0.5"), ("most", "1"))
"""Names and values of how much is hidden around what is found, as fractions of its shorter side; empty: the model's."""
NUMBERED_REGIONS = 3
"""Regions by number of the form without scripts; they are of all its images."""
SIDES = ("left", "top", "width", "height")
NUMBERED_FIELDS = [f"region_{number}_{name}" for number in range(1, NUMBERED_REGIONS + 1) for name in ("shape", *SIDES)]


class BadRegion(ValueError):
    """A region by number is none."""

    def __init__(self, number: int) -> None:
        super().__init__(f"region {number}")
        self.number = number


def spec_of(data: Mapping[str, Any]) -> BlurSpec:
    """Return the blur spec of a JSON object or of form fields.

    Raises:
        BadRegion: A region by number is malformed.
        ValueError, KeyError, TypeError: Anything else is.
    """
    strength = float(data.get("strength") or DEFAULT_STRENGTH)
    fraction = min(max(strength, MIN_STRENGTH), MAX_STRENGTH) / 100
    output = str(data.get("format") or "")
    finds = _finds(data)
    regions = [region_of(region) for region in data.get("regions") or numbered_regions(data)]
    spec = BlurSpec(
        find=finds,
        regions=regions,
        exclude_regions=[Region(box=_rect(region)) for region in data.get("exclude", ())] if finds else [],
        invert_regions=bool(data.get("outside")) and bool(regions or finds),
        output_format=ImageFormat.Value(f"IMAGE_FORMAT_{output or 'UNSPECIFIED'}"),
        keep_metadata=bool(data.get("keep_metadata")),
    )
    if (quality := round(float(data.get("quality") or DEFAULT_QUALITY))) != DEFAULT_QUALITY:
        spec.quality = quality
    match data.get("effect", "gaussian"):
        case "gaussian":
            spec.gaussian.CopyFrom(Gaussian(sigma_relative=fraction))
        case "pixelate":
            spec.pixelate.CopyFrom(Pixelate(cell_relative=fraction))
        case "solid":
            spec.solid.CopyFrom(Solid(color=str(data.get("color") or "#000000")))
        case "redact":
            spec.redact.CopyFrom(Redact())
        case other:
            raise ValueError(f"unknown effect {other!r}")
    return spec


def with_effect(spec: BlurSpec, other: BlurSpec) -> BlurSpec:
    """Return a spec with the effect of another one. Regions with effects of their own keep them."""
    result = BlurSpec()
    result.CopyFrom(spec)
    if name := other.WhichOneof("effect"):
        getattr(result, name).CopyFrom(getattr(other, name))
    return result


def effect_values(spec: BlurSpec) -> dict[str, str]:
    """Return the effect of a spec as form fields; a strength in pixels, which fields do not have, as the default."""
    strength, color = DEFAULT_STRENGTH, "#000000"
    match spec.WhichOneof("effect"):
        case "gaussian" if spec.gaussian.sigma_relative:
            strength = 100 * spec.gaussian.sigma_relative
        case "pixelate" if spec.pixelate.cell_relative:
            strength = 100 * spec.pixelate.cell_relative
        case "solid":
            color = spec.solid.color or color
    return {"effect": spec.WhichOneof("effect") or "gaussian", "strength": f"{strength:g}", "color": color}


def _finds(data: Mapping[str, Any]) -> list[Find]:
    wanted = data.get("find", [name for name in FINDABLE if data.get(f"find_{name}")])
    padding = float(data["find_padding"]) if data.get("find_padding") not in {None, ""} else None
    return [Find(kind=FINDABLE[name], padding=padding) for name in wanted]


def region_of(data: Mapping[str, Any]) -> Region:
    """Return a region. Raises: As `spec_of`."""
    padding, feather = float(data.get("padding") or 0), float(data.get("feather") or 0)
    region = Region(padding=padding, feather=feather)
    match data.get("shape"):
        case "polygon":
            region.polygon.points.extend(map(_point, data["points"]))
        case "brush":
            strokes = (
                Stroke(points=map(_point, each["points"]), width=float(each["width"])) for each in data["strokes"]
            )
            region.brush.strokes.extend(strokes)
        case "ellipse":
            region.ellipse.CopyFrom(_rect(data))
        case _:
            region.box.CopyFrom(_rect(data))
    return region


def _rect(data: Mapping[str, Any]) -> Rect:
    left, top = (_fraction(data[side]) for side in ("left", "top"))
    # Rounding in the browser may put an edge slightly beyond 1.
    width, height = min(float(data["width"]), 1.0 - left), min(float(data["height"]), 1.0 - top)
    return Rect(left=left, top=top, width=width, height=height)


def _point(data: Sequence[Any]) -> Point:
    x, y = data
    return Point(x=_fraction(x), y=_fraction(y))


def _fraction(value: Any) -> float:
    return min(max(float(value), 0.0), 1.0)


def numbered_regions(fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the regions whose sides are form fields, in per cent. Raises: BadRegion."""
    regions = []
    for number in range(1, NUMBERED_REGIONS + 1):
        values = {side: str(fields.get(f"region_{number}_{side}") or "").strip() for side in SIDES}
        if any(values.values()):
            try:
                # A person may write a decimal comma.
                shares = {side: float(value.replace(",", ".") or 0) / 100 for side, value in values.items()}
            except ValueError:
                raise BadRegion(number) from None
            if not (
                0 <= shares["left"] < 1 and 0 <= shares["top"] < 1 and shares["width"] > 0 and shares["height"] > 0
            ):
                raise BadRegion(number)
            edge = {name: fields.get(name) for name in ("padding", "feather")}
            regions.append({"shape": fields.get(f"region_{number}_shape"), **shares, **edge})
    return regions
