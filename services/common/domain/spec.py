"""The blur spec: effect, regions, and encoding of the result. Validated when made, stored as JSON in rows."""

import functools
import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

MAX_REGIONS = 100
MAX_SIGMA_PX = 500.0
MAX_CELL_PX = 10_000
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class Format(StrEnum):
    """Image file formats, by the interface's names."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    GIF = "GIF"
    TIFF = "TIFF"
    BMP = "BMP"
    AVIF = "AVIF"

    @property
    def media_type(self) -> str:
        """The media type, such as `image/jpeg`."""
        return f"image/{self.value.lower()}"


class InvalidSpec(ValueError):
    """A value of a spec is out of range; `path` is the field's, as in the interface."""

    def __init__(self, path: str, description: str) -> None:
        super().__init__(f"{path}: {description}")
        self.path = path
        self.description = description


def _check(ok: bool, path: str, description: str) -> None:
    # Callers pass what must be true, so that NaN, for which every comparison is false, never passes.
    if not ok:
        raise InvalidSpec(path, description)


@dataclass(frozen=True)
class Gaussian:
    """Gaussian blur; `sigma` is the standard deviation in pixels or, if relative, a fraction of the shorter side."""

    sigma: float = 5.0
    relative: bool = False

    def __post_init__(self) -> None:
        if self.relative:
            _check(0 < self.sigma <= 1, "gaussian.sigma_relative", "must be above 0 and at most 1")
        else:
            _check(0 < self.sigma <= MAX_SIGMA_PX, "gaussian.sigma_px", f"must be above 0 and at most {MAX_SIGMA_PX:g}")

    def sigma_px(self, width: int, height: int) -> float:
        """Return the standard deviation in pixels on an image of this size."""
        return self.sigma * min(width, height) if self.relative else self.sigma


@dataclass(frozen=True)
class Pixelate:
    """Square cells; `cell` is their side in whole pixels or, if relative, a fraction of the shorter side."""

    cell: float = 16
    relative: bool = False

    def __post_init__(self) -> None:
        if self.relative:
            _check(0 < self.cell <= 1, "pixelate.cell_relative", "must be above 0 and at most 1")
        else:
            _check(2 <= self.cell <= MAX_CELL_PX, "pixelate.cell_px", f"must be 2 to {MAX_CELL_PX}")

    def cell_px(self, width: int, height: int) -> int:
        """Return the side of a cell in pixels on an image of this size, at least 2."""
        return max(2, round(self.cell * min(width, height))) if self.relative else int(self.cell)


@dataclass(frozen=True)
class Solid:
    """One flat colour, `#rrggbb`."""

    color: str = "#000000"

    def __post_init__(self) -> None:
        _check(_COLOR.fullmatch(self.color) is not None, "solid.color", "must look like #1a2b3c")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


Effect = Gaussian | Pixelate | Solid
_EFFECTS: dict[str, type[Effect]] = {"gaussian": Gaussian, "pixelate": Pixelate, "solid": Solid}


@dataclass(frozen=True)
class Region:
    """An outline in fractions (0 to 1) of the displayed image; padding and feather in fractions of its shorter side."""

    shape: Literal["box", "ellipse"]
    left: float
    top: float
    width: float
    height: float
    padding: float = 0.0
    feather: float = 0.0

    def __post_init__(self) -> None:
        # Clients may compute in 32-bit floats: their rounding must not make a full-width box invalid.
        slack = 1e-6
        inside = "must be above 0 and end inside the image"
        _check(0 <= self.left <= 1, f"{self.shape}.left", "must be 0 to 1")
        _check(0 <= self.top <= 1, f"{self.shape}.top", "must be 0 to 1")
        _check(0 < self.width <= 1 - self.left + slack, f"{self.shape}.width", inside)
        _check(0 < self.height <= 1 - self.top + slack, f"{self.shape}.height", inside)
        _check(0 <= self.padding <= 1, "padding", "must be 0 to 1")
        _check(0 <= self.feather <= 1, "feather", "must be 0 to 1")


@dataclass(frozen=True)
class BlurSpec:
    """How one image is blurred."""

    effect: Effect = field(default_factory=Gaussian)
    regions: tuple[Region, ...] = ()
    """Empty: the whole image."""
    invert_regions: bool = False
    output_format: Format | None = None
    """None: the input's."""
    quality: int = 90
    keep_metadata: bool = False

    def __post_init__(self) -> None:
        _check(len(self.regions) <= MAX_REGIONS, "regions", f"must be at most {MAX_REGIONS}")
        _check(not self.invert_regions or bool(self.regions), "invert_regions", "needs at least one region")
        _check(1 <= self.quality <= 100, "quality", "must be 1 to 100")

    def to_values(self) -> dict[str, Any]:
        """Return the spec as values for JSON."""
        kind = next(name for name, effect in _EFFECTS.items() if isinstance(self.effect, effect))
        return asdict(self) | {"effect": {"kind": kind} | asdict(self.effect)}

    def to_json(self) -> str:
        """Return the spec as JSON, for a row."""
        return json.dumps(self.to_values(), separators=(",", ":"))

    @classmethod
    @functools.lru_cache(maxsize=128)  # an order's images share one
    def from_json(cls, text: str) -> "BlurSpec":
        """Return the spec that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        effect = values.pop("effect")
        output_format = values.pop("output_format")
        return cls(
            effect=_EFFECTS[effect.pop("kind")](**effect),
            regions=tuple(Region(**region) for region in values.pop("regions")),
            output_format=output_format and Format(output_format),
            **values,
        )
