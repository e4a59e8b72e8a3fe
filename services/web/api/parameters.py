"""Parameters of the API that no proto describes: how to blur, in a query. The OpenAPI document lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageblur.v1.order_pb2 import Effort, ImageFormat

from services.common.domain.spec import EFFECTS, OUTPUT_FORMATS, Format

NUMBER: Mapping[str, Any] = {"type": "number"}
FLAG: Mapping[str, Any] = {"type": "string", "enum": ["1", "0", "true", "false"]}
_RECT: Mapping[str, Any] = {"type": "string", "example": "0.4,0.1,0.2,0.3"}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a query, or a field of a form."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """Its JSON schema: of one value, if it may be repeated."""
    repeated: bool = False


ONLY_READ = {f"IMAGE_FORMAT_{format_}" for format_ in set(Format) - set(OUTPUT_FORMATS)}
"""Formats that no result has."""


def _names(enum: Any, prefix: str, *more: str) -> Mapping[str, Any]:
    names = [name.removeprefix(prefix).lower() for name, number in enum.items() if number and name not in ONLY_READ]
    return {"type": "string", "enum": names + list(more)}


SPEC_PARAMETERS: Sequence[Parameter] = (
    Parameter(
        name="find",
        description="What to find and hide: `faces`, `text`, `text:card+iban+phone+e_mail+plate`, `codes`, "
        "`custom:MODEL`, separated by commas.",
        schema={"type": "string", "example": "faces,text:card"},
        repeated=True,
    ),
    Parameter(name="effort", description="How thoroughly to find.", schema=_names(Effort, "EFFORT_")),
    Parameter(name="min_confidence", description="Ignore findings of less confidence, 0 to 1.", schema=NUMBER),
    Parameter(
        name="find_padding",
        description="Grows what is found on every side, as a fraction of its shorter side, 0 to 2.",
        schema=NUMBER,
    ),
    Parameter(
        name="exclude",
        description="Findings whose centre lies in this box are not hidden: `left,top,width,height` as fractions.",
        schema=_RECT,
        repeated=True,
    ),
    Parameter(
        name="effect",
        description="Default: redact with regions or something to find, else gaussian. `sigma`, `cell` or `color` "
        "imply it.",
        schema={"type": "string", "enum": sorted(EFFECTS)},
    ),
    Parameter(name="sigma", description="Of gaussian: pixels, above 0, at most 500.", schema=NUMBER),
    Parameter(name="sigma_relative", description="Of gaussian: a fraction of the shorter side.", schema=NUMBER),
    Parameter(name="cell", description="Of pixelate: pixels, 2 to 10,000.", schema={"type": "integer"}),
    Parameter(name="cell_relative", description="Of pixelate: a fraction of the shorter side.", schema=NUMBER),
    Parameter(name="color", description="Of solid: `rrggbb`.", schema={"type": "string", "example": "000000"}),
    Parameter(
        name="region",
        description="A box to hide: `left,top,width,height` as fractions of the displayed image.",
        schema=_RECT,
        repeated=True,
    ),
    Parameter(name="ellipse", description="An ellipse to hide, by its box.", schema=_RECT, repeated=True),
    Parameter(
        name="polygon",
        description="A polygon to hide: `x,y,x,y,x,y` and so on, its corners as fractions.",
        schema={"type": "string", "example": "0.1,0.1,0.5,0.1,0.3,0.4"},
        repeated=True,
    ),
    Parameter(
        name="brush",
        description="A stroke of a brush: `width:x,y,x,y` and so on, its width as a fraction of the shorter side.",
        schema={"type": "string", "example": "0.05:0.1,0.1,0.5,0.2"},
        repeated=True,
    ),
    Parameter(
        name="padding", description="Grows all regions, as a fraction of the image's shorter side.", schema=NUMBER
    ),
    Parameter(
        name="feather",
        description="Soft edge of all regions, as a fraction of the image's shorter side.",
        schema=NUMBER,
    ),
    Parameter(name="invert", description="Hide everything else.", schema=FLAG),
    Parameter(
        name="format",
        description="Of the result; default: the input's, jpeg for HEIC.",
        schema=_names(ImageFormat, "IMAGE_FORMAT_", "jpg"),
    ),
    Parameter(name="quality", description="Of JPEG, WebP and AVIF, 1 to 100.", schema={"type": "integer"}),
    Parameter(name="keep_metadata", description="Keep EXIF and XMP.", schema=FLAG),
    Parameter(
        name="spec",
        description="Instead of all of these: a BlurSpec as JSON.",
        schema={"type": "string", "example": '{"redact": {}, "find": [{"kind": "FINDING_KIND_FACE"}]}'},
    ),
)
"""How to blur. All of them are optional."""
