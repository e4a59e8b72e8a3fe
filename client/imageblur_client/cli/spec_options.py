"""Parses the options of a blur spec. Only their syntax is checked here; the server checks their values."""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

import typer
from imageblur.v1.blur_service_pb2 import FindModel
from imageblur.v1.order_pb2 import (
    BlurSpec,
    Effort,
    Find,
    FindingKind,
    Gaussian,
    ImageFormat,
    Pixelate,
    Redact,
    Region,
    Solid,
)

from imageblur_client.finding import parse_finds
from imageblur_client.regions import box, brush, ellipse, parse_box, parse_brush, parse_polygon, polygon

Parsed = TypeVar("Parsed")


class OutputFormat(StrEnum):
    """Image formats by their common names."""

    JPEG = "jpeg"
    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    TIFF = "tiff"
    BMP = "bmp"
    AVIF = "avif"

    def to_proto(self) -> ImageFormat.ValueType:
        """Return the value of the proto enum."""
        return ImageFormat.Value("IMAGE_FORMAT_" + ("JPEG" if self is OutputFormat.JPG else self.name))


class EffortName(StrEnum):
    """How thoroughly to find."""

    FAST = "fast"
    BALANCED = "balanced"
    THOROUGH = "thorough"

    def to_proto(self) -> Effort.ValueType:
        """Return the value of the proto enum."""
        return Effort.Value(f"EFFORT_{self.name}")


def effect(
    *, sigma: float | None, relative: bool, cell: int | None, color: str | None, redact: bool = False
) -> BlurSpec:
    """Return a spec with the requested effect; an empty one, the server's default, if there is none."""
    if sum([redact, *(option is not None for option in (sigma, cell, color))]) > 1:
        raise typer.BadParameter("give one of --sigma, --pixelate, --solid and --redact")
    if relative and sigma is None:
        raise typer.BadParameter("needs --sigma, as a fraction of the shorter side", param_hint="--relative-sigma")
    if sigma is not None:
        return BlurSpec(gaussian=Gaussian(sigma_relative=sigma) if relative else Gaussian(sigma_px=sigma))
    if cell is not None:
        return BlurSpec(pixelate=Pixelate(cell_px=cell))
    if color is not None:
        return BlurSpec(solid=Solid(color=_color(color)))
    if redact:
        return BlurSpec(redact=Redact())
    return BlurSpec()


def regions(
    *,
    boxes: Sequence[str] = (),
    ellipses: Sequence[str] = (),
    polygons: Sequence[str] = (),
    brushes: Sequence[str] = (),
    padding: float,
    feather: float,
) -> list[Region]:
    """Return regions from strings: `L,T,W,H`, `X,Y,X,Y,X,Y` of polygons, `WIDTH:X,Y,X,Y` of brushes."""
    found = [
        *(box(*_parsed(parse_box, text, "--region")) for text in boxes),
        *(ellipse(*_parsed(parse_box, text, "--ellipse")) for text in ellipses),
        *(polygon(_parsed(parse_polygon, text, "--polygon")) for text in polygons),
        *(brush(*_parsed(parse_brush, text, "--brush")) for text in brushes),
    ]
    for region in found:
        region.padding, region.feather = padding, feather
    if (padding or feather) and not found:
        raise typer.BadParameter("--padding and --feather need a --region, --ellipse, --polygon or --brush")
    return found


def all_finds(models: Iterable[FindModel]) -> list[Find]:
    """Return all that a server can find."""
    custom = FindingKind.FINDING_KIND_CUSTOM
    return [Find(kind=model.kind, model=model.name if model.kind == custom else "") for model in models]


def excluded(boxes: Sequence[str]) -> list[Region]:
    """Return the regions in which nothing is hidden, from `L,T,W,H` strings."""
    return [box(*_parsed(parse_box, text, "--exclude")) for text in boxes]


def finds(texts: Sequence[str], *, min_confidence: float | None = None, padding: float | None = None) -> list[Find]:
    """Return what to find, from strings such as `faces,text:card+iban,custom:plates`; the numbers are of each."""
    try:
        return parse_finds(texts, min_confidence=min_confidence, padding=padding)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--find") from None


def _parsed(parse: Callable[[str], Parsed], text: str, option: str) -> Parsed:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _color(text: str) -> str:
    # The # is optional, because shells treat a word that begins with it as a comment.
    digits = text.removeprefix("#").lower()
    if not re.fullmatch(r"[0-9a-f]{6}", digits):
        raise typer.BadParameter(f"{text!r} is not a colour such as '#1e90ff' or 1e90ff", param_hint="--solid")
    return f"#{digits}"
