"""Parses the options of a blur spec. Only their syntax is checked here; the server checks their values."""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

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
from imageblur_client.regions import box, ellipse


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


def regions(boxes: Sequence[str], ellipses: Sequence[str], *, padding: float, feather: float) -> list[Region]:
    """Return regions from `L,T,W,H` strings."""
    shapes: tuple[tuple[str, Sequence[str], Callable[..., Region]], ...] = (
        ("--region", boxes, box),
        ("--ellipse", ellipses, ellipse),
    )
    found = [
        make(*_four_numbers(text, option), padding=padding, feather=feather)
        for option, texts, make in shapes
        for text in texts
    ]
    if (padding or feather) and not found:
        raise typer.BadParameter("--padding and --feather need a --region or an --ellipse")
    return found


def all_finds(models: Iterable[FindModel]) -> list[Find]:
    """Return all that a server can find."""
    custom = FindingKind.FINDING_KIND_CUSTOM
    return [Find(kind=model.kind, model=model.name if model.kind == custom else "") for model in models]


def excluded(boxes: Sequence[str]) -> list[Region]:
    """Return the regions in which nothing is hidden, from `L,T,W,H` strings."""
    return [box(*_four_numbers(text, "--exclude")) for text in boxes]


def finds(texts: Sequence[str], *, min_confidence: float | None = None, padding: float | None = None) -> list[Find]:
    """Return what to find, from strings such as `faces,text:card+iban,custom:plates`; the numbers are of each."""
    try:
        return parse_finds(texts, min_confidence=min_confidence, padding=padding)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--find") from None


def _four_numbers(text: str, option: str) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = (float(part) for part in text.split(","))
    except ValueError:
        message = f"{text!r} is not LEFT,TOP,WIDTH,HEIGHT, four fractions such as 0.1,0.2,0.5,0.25"
        raise typer.BadParameter(message, param_hint=option) from None
    return left, top, width, height


def _color(text: str) -> str:
    # The # is optional, because shells treat a word that begins with it as a comment.
    digits = text.removeprefix("#").lower()
    if not re.fullmatch(r"[0-9a-f]{6}", digits):
        raise typer.BadParameter(f"{text!r} is not a colour such as '#1e90ff' or 1e90ff", param_hint="--solid")
    return f"#{digits}"
