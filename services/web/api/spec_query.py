"""Blur specs as parameters of a query: `?find=faces,text:card&effect=gaussian&sigma=8&region=0.1,0.2,0.3,0.4`.

`api.parameters` describes them.
"""

from collections.abc import Callable, Collection
from typing import TypeVar

from imageblur.v1.order_pb2 import BlurSpec, Effort, Gaussian, ImageFormat, Pixelate, Redact, Solid
from imageblur_client import box, brush, ellipse, polygon
from imageblur_client.finding import parse_finds
from imageblur_client.regions import parse_box, parse_brush, parse_polygon
from starlette.datastructures import QueryParams

from services.web.api.errors import BadRequest
from services.web.api.messages import parse_json
from services.web.api.parameters import ONLY_READ, SPEC_PARAMETERS

Effect = TypeVar("Effect", Gaussian, Pixelate)
Parsed = TypeVar("Parsed")
_NAMES = {parameter.name for parameter in SPEC_PARAMETERS}
_REPEATED = {parameter.name for parameter in SPEC_PARAMETERS if parameter.repeated}
_EFFECTS = {
    "gaussian": ("sigma", "sigma_relative"),
    "pixelate": ("cell", "cell_relative"),
    "solid": ("color",),
    "redact": (),
}
"""Effects and their parameters, of which an image has one."""


def parse_spec(query: QueryParams, *, others: Collection[str] = ()) -> BlurSpec:
    """Return the spec of a query. Values are checked by the gateway.

    Args:
        query: The parameters.
        others: Names of parameters that have another meaning.

    Raises:
        BadRequest: A parameter is unknown or malformed, is repeated, or contradicts another.
    """
    for name in query:
        if name not in _NAMES and name not in others:
            raise BadRequest(name, f"is no parameter: there are {', '.join(sorted({*_NAMES, *others}))}")
        if len(query.getlist(name)) > 1 and name not in _REPEATED:
            raise BadRequest(name, "is given more than once")
    if "spec" in query:
        if more := sorted(set(query) & _NAMES - {"spec"}):
            raise BadRequest(more[0], "is no parameter beside spec: put it into the JSON")
        return parse_json(query["spec"].encode(), BlurSpec, {}, "spec")
    spec = _effect(query)
    spec.regions.extend(box(*values) for values in _all(query, "region", parse_box))
    spec.regions.extend(ellipse(*values) for values in _all(query, "ellipse", parse_box))
    spec.regions.extend(polygon(points) for points in _all(query, "polygon", parse_polygon))
    spec.regions.extend(brush(points, width) for points, width in _all(query, "brush", parse_brush))
    padding, feather = _number(query, "padding") or 0.0, _number(query, "feather") or 0.0
    for region in spec.regions:
        region.padding, region.feather = padding, feather
    spec.exclude_regions.extend(box(*values) for values in _all(query, "exclude", parse_box))
    try:
        spec.find.extend(
            parse_finds(
                query.getlist("find"),
                min_confidence=_number(query, "min_confidence"),
                padding=_number(query, "find_padding"),
            )
        )
    except ValueError as error:
        raise BadRequest("find", str(error)) from None
    spec.effort = parse_effort(query)
    spec.invert_regions = _flag(query, "invert")
    spec.keep_metadata = _flag(query, "keep_metadata")
    if image_format := query.get("format"):
        spec.output_format = _format(image_format)
    if (quality := _number(query, "quality")) is not None:
        spec.quality = round(quality)
    return spec


def parse_effort(query: QueryParams) -> Effort.ValueType:
    """Return the effort of a query; unspecified without one. Raises: BadRequest."""
    efforts = {text.removeprefix("EFFORT_").lower(): number for text, number in Effort.items() if number}
    if "effort" not in query:
        return Effort.EFFORT_UNSPECIFIED
    if query["effort"].lower() not in efforts:
        raise BadRequest("effort", f"{query['effort']!r} is none of {', '.join(efforts)}")
    return efforts[query["effort"].lower()]


def _effect(query: QueryParams) -> BlurSpec:
    given = [(effect, name) for effect, names in _EFFECTS.items() for name in names if name in query]
    if not (effect := query.get("effect") or (given[0][0] if given else "")):
        return BlurSpec()
    if effect not in _EFFECTS:
        raise BadRequest("effect", f"{effect!r} is none of gaussian, pixelate, redact and solid")
    for other, name in given:
        if other != effect:
            raise BadRequest(name, f"is of {other}, but the effect is {effect}: an image has one effect")
    if len(given) > 1:
        raise BadRequest(given[1][1], f"means the same as {given[0][1]}: give one of them")
    match effect:
        case "gaussian":
            return BlurSpec(gaussian=_with_fields(Gaussian(), query, sigma="sigma_px", sigma_relative="sigma_relative"))
        case "pixelate":
            return BlurSpec(pixelate=_with_fields(Pixelate(), query, cell="cell_px", cell_relative="cell_relative"))
        case "solid":
            return BlurSpec(solid=Solid(color=_color(query.get("color", ""))))
    return BlurSpec(redact=Redact())


def _with_fields(effect: Effect, query: QueryParams, **fields: str) -> Effect:
    """Set the fields of an effect whose parameters are in the query."""
    for name, field in fields.items():
        if (value := _number(query, name)) is not None:
            setattr(effect, field, round(value) if field == "cell_px" else value)
    return effect


def _color(text: str) -> str:
    # In an URL, # begins the fragment.
    return f"#{text}" if text and not text.startswith("#") else text


def _all(query: QueryParams, name: str, parse: Callable[[str], Parsed]) -> list[Parsed]:
    """Return what all parameters of this name are parsed to."""
    try:
        return [parse(text) for text in query.getlist(name)]
    except ValueError as error:
        raise BadRequest(name, str(error)) from None


def _number(query: QueryParams, name: str) -> float | None:
    if name not in query:
        return None
    try:
        return float(query[name])
    except ValueError:
        raise BadRequest(name, f"{query[name]!r} is not a number") from None


def _flag(query: QueryParams, name: str) -> bool:
    value = query.get(name, "0").lower()
    if value not in {"", "0", "1", "false", "true"}:
        raise BadRequest(name, f"{value!r} is neither 1 nor 0")
    return value in {"", "1", "true"} and name in query


def _format(name: str) -> ImageFormat.ValueType:
    formats = {
        text.removeprefix("IMAGE_FORMAT_").lower(): number
        for text, number in ImageFormat.items()
        if number and text not in ONLY_READ
    }
    formats["jpg"] = ImageFormat.IMAGE_FORMAT_JPEG
    if name.lower() not in formats:
        raise BadRequest("format", f"{name!r} is none of {', '.join(formats)}")
    return formats[name.lower()]
