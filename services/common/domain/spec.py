"""The blur spec: what to hide, the effect, and encoding of the result. Validated when made, stored as JSON in rows."""

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

MAX_REGIONS = 100
MAX_POLYGON_POINTS = 100
MAX_STROKES = 100
"""Most strokes of a region."""
MAX_STROKE_POINTS = 500
MAX_POINTS = 2_000
"""In all regions of a spec together: they are stored with each image, and each costs time to draw."""
MAX_SIGMA_PX = 500.0
MAX_CELL_PX = 10_000
MAX_FINDS = 10
MAX_FIND_PADDING = 2.0
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
    HEIF = "HEIF"
    """As phones write it (HEIC); only read."""

    @property
    def written_as(self) -> "Format":
        """The format of a result for which none is asked: the same, JPEG for a format that is only read."""
        return Format.JPEG if self is Format.HEIF else self

    @property
    def media_type(self) -> str:
        """The media type, such as `image/jpeg`."""
        return f"image/{self.value.lower()}"

    @property
    def label(self) -> str:
        """The name for people."""
        return {"WEBP": "WebP", "HEIF": "HEIC"}.get(self.value, self.value)

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of its files in small letters, the usual one first."""
        return _EXTENSIONS[self]


_EXTENSIONS = {
    Format.JPEG: ("jpg", "jpeg", "jpe", "jfif"),
    Format.PNG: ("png", "apng"),
    Format.WEBP: ("webp",),
    Format.GIF: ("gif",),
    Format.TIFF: ("tif", "tiff"),
    Format.BMP: ("bmp", "dib"),
    Format.AVIF: ("avif", "avifs"),
    Format.HEIF: ("heic", "heif", "hif"),
}
FORMATS_BY_EXTENSION = {extension: format_ for format_, extensions in _EXTENSIONS.items() for extension in extensions}
OTHER_EXTENSIONS = {"jxl": "JPEG XL"}
"""Images of formats that are not supported, by their names: they fail with a reason instead of being left out."""
OUTPUT_FORMATS = tuple(format_ for format_ in Format if format_.written_as is format_)


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

    irreversible: ClassVar[bool] = False
    reads_surroundings: ClassVar[bool] = False

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

    irreversible: ClassVar[bool] = False
    reads_surroundings: ClassVar[bool] = False

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

    irreversible: ClassVar[bool] = True
    reads_surroundings: ClassVar[bool] = False

    color: str = "#000000"

    def __post_init__(self) -> None:
        _check(_COLOR.fullmatch(self.color) is not None, "solid.color", "must look like #1a2b3c")


@dataclass(frozen=True)
class Redact:
    """A few soft cells across each region, scaled with the region."""

    irreversible: ClassVar[bool] = True
    reads_surroundings: ClassVar[bool] = True


Effect = Gaussian | Pixelate | Solid | Redact
"""`irreversible`: nothing of what is hidden is in the result, not even a mean. `reads_surroundings`: it is computed for
each region by itself, from the visible pixels around that."""
EFFECTS: dict[str, type[Effect]] = {"gaussian": Gaussian, "pixelate": Pixelate, "solid": Solid, "redact": Redact}
"""By the interface's names, in the order in which people choose."""

Shape = Literal["box", "ellipse"]
"""Outlines of findings."""
Outline = Literal["box", "ellipse", "polygon", "brush"]
Point = tuple[float, float]
"""x and y in fractions of the displayed image's width and height."""
_SLACK = 1e-6
"""Clients may compute in 32-bit floats: their rounding must not make a full-width box invalid."""


class FindingKind(StrEnum):
    """What can be found; see the interface's FindingKind."""

    FACE = "FACE"
    TEXT = "TEXT"
    CODE = "CODE"
    CUSTOM = "CUSTOM"


class TextClass(StrEnum):
    """Classes of text; see the interface's TextClass."""

    ALL = "ALL"
    E_MAIL = "E_MAIL"
    PHONE = "PHONE"
    CARD = "CARD"
    IBAN = "IBAN"
    PLATE = "PLATE"


class Effort(StrEnum):
    """How thoroughly to find; see the interface's Effort."""

    FAST = "FAST"
    BALANCED = "BALANCED"
    THOROUGH = "THOROUGH"


@dataclass(frozen=True, kw_only=True)
class Find:
    """Something to find and hide; None means the model's own default."""

    kind: FindingKind
    model: str = ""
    min_confidence: float | None = None
    padding: float | None = None
    """Grows what is found on every side, as a fraction of its shorter side."""
    shape: Shape | None = None
    """None: an ellipse for faces, else a box."""
    text_classes: tuple[TextClass, ...] = ()
    """Empty: all text."""

    def __post_init__(self) -> None:
        _check(self.kind is not FindingKind.CUSTOM or bool(self.model), "model", "is required for a custom kind")
        _check(self.min_confidence is None or 0 <= self.min_confidence <= 1, "min_confidence", "must be 0 to 1")
        _check(self.padding is None or 0 <= self.padding <= MAX_FIND_PADDING, "padding", "must be 0 to 2")
        _check(not self.text_classes or self.kind is FindingKind.TEXT, "text_classes", "is only for FINDING_KIND_TEXT")


@dataclass(frozen=True)
class Stroke:
    """What a round brush covers that follows the points; `width` is a fraction of the image's shorter side."""

    points: tuple[Point, ...]
    width: float

    def __post_init__(self) -> None:
        _check(1 <= len(self.points) <= MAX_STROKE_POINTS, "points", f"must be 1 to {MAX_STROKE_POINTS} points")
        _check_points(self.points)
        _check(0 < self.width <= 1, "width", "must be above 0 and at most 1")


@dataclass(frozen=True)
class Region:
    """An outline in fractions (0 to 1) of the displayed image; padding and feather in fractions of its shorter side."""

    shape: Outline
    left: float
    """Left edge of the box around the outline; for a brush, of the box around the middle of its strokes."""
    top: float
    width: float
    height: float
    padding: float = 0.0
    feather: float = 0.0
    effect: Effect | None = None
    """None: the spec's."""
    points: tuple[Point, ...] = ()
    """The corners of a polygon; empty for other outlines."""
    strokes: tuple[Stroke, ...] = ()
    """Strokes of a brush; empty for other outlines."""

    def __post_init__(self) -> None:
        match self.shape:
            case "polygon":
                ok = 3 <= len(self.points) <= MAX_POLYGON_POINTS
                _check(ok, "polygon.points", f"must be 3 to {MAX_POLYGON_POINTS} points")
                _check_points(self.points, "polygon.")
            case "brush":
                _check(1 <= len(self.strokes) <= MAX_STROKES, "brush.strokes", f"must be 1 to {MAX_STROKES} strokes")
            case _:
                inside = "must be above 0 and end inside the image"
                _check(0 <= self.left <= 1, f"{self.shape}.left", "must be 0 to 1")
                _check(0 <= self.top <= 1, f"{self.shape}.top", "must be 0 to 1")
                _check(0 < self.width <= 1 - self.left + _SLACK, f"{self.shape}.width", inside)
                _check(0 < self.height <= 1 - self.top + _SLACK, f"{self.shape}.height", inside)
        _check(0 <= self.padding <= 1, "padding", "must be 0 to 1")
        _check(0 <= self.feather <= 1, "feather", "must be 0 to 1")

    @classmethod
    def polygon(
        cls, points: Sequence[Point], padding: float = 0.0, feather: float = 0.0, effect: Effect | None = None
    ) -> "Region":
        """Return a polygon: what is inside by the nonzero rule."""
        return cls("polygon", *_box_around(points), padding, feather, effect, points=tuple(points))

    @classmethod
    def brush(
        cls, strokes: Sequence[Stroke], padding: float = 0.0, feather: float = 0.0, effect: Effect | None = None
    ) -> "Region":
        """Return strokes of a brush."""
        points = [point for stroke in strokes for point in stroke.points]
        return cls("brush", *_box_around(points), padding, feather, effect, strokes=tuple(strokes))

    @property
    def point_count(self) -> int:
        """How many points describe the outline; 0 for boxes and ellipses."""
        return len(self.points) + sum(len(stroke.points) for stroke in self.strokes)


def _check_points(points: tuple[Point, ...], prefix: str = "") -> None:
    for index, point in enumerate(points):
        for name, value in zip("xy", point, strict=True):
            _check(-_SLACK <= value <= 1 + _SLACK, f"{prefix}points[{index}].{name}", "must be 0 to 1")


def _box_around(points: Sequence[Point]) -> tuple[float, float, float, float]:
    if not points:
        return 0.0, 0.0, 0.0, 0.0
    left, top = (min(point[axis] for point in points) for axis in (0, 1))
    right, bottom = (max(point[axis] for point in points) for axis in (0, 1))
    return left, top, right - left, bottom - top


@dataclass(frozen=True)
class BlurSpec:
    """How one image is blurred."""

    effect: Effect = field(default_factory=Gaussian)
    regions: tuple[Region, ...] = ()
    """Empty: where something is found; without `find` the whole image."""
    invert_regions: bool = False
    find: tuple[Find, ...] = ()
    effort: Effort = Effort.BALANCED
    exclude_regions: tuple[Region, ...] = ()
    """Findings whose centre lies in one of these are not hidden."""
    output_format: Format | None = None
    """None: the input's, or what it is written as."""
    quality: int = 90
    keep_metadata: bool = False

    def __post_init__(self) -> None:
        _check(len(self.regions) <= MAX_REGIONS, "regions", f"must be at most {MAX_REGIONS}")
        _check(len(self.find) <= MAX_FINDS, "find", f"must be at most {MAX_FINDS}")
        _check(len(self.exclude_regions) <= MAX_REGIONS, "exclude_regions", f"must be at most {MAX_REGIONS}")
        points = sum(region.point_count for region in (*self.regions, *self.exclude_regions))
        _check(
            points <= MAX_POINTS, "regions", f"must have at most {MAX_POINTS} points together, of polygons and strokes"
        )
        _check(
            not self.invert_regions or bool(self.regions or self.find),
            "invert_regions",
            "needs at least one region or something to find",
        )
        written = self.output_format is None or self.output_format in OUTPUT_FORMATS
        _check(
            written, "output_format", f"{self.output_format} is only read: choose one of {', '.join(OUTPUT_FORMATS)}"
        )
        _check(1 <= self.quality <= 100, "quality", "must be 1 to 100")

    @staticmethod
    def default_effect(*, whole_image: bool) -> Effect:
        """Return the effect of a spec that names none: irreversible where something in particular is to be hidden."""
        return Gaussian() if whole_image else Redact()

    def to_values(self) -> dict[str, Any]:
        """Return the spec as values for JSON."""
        # Not asdict, which takes many times as long: an order may have thousands of regions.
        values = vars(self) | {"effect": effect_values(self.effect), "find": tuple(map(vars, self.find))}
        for name in ("regions", "exclude_regions"):
            values[name] = [region_values(region) for region in getattr(self, name)]
        # Workers of the version before know no other fields, and need none of these.
        for name in ("find", "exclude_regions"):
            if not values[name]:
                del values[name]
        if not self.find:
            del values["effort"]
        return values

    def to_json(self) -> str:
        """Return the spec as JSON, for a row."""
        return json.dumps(self.to_values(), separators=(",", ":"))

    @classmethod
    @functools.lru_cache(maxsize=128)  # an order's images share one
    def from_json(cls, text: str) -> "BlurSpec":
        """Return the spec that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        output_format = values.pop("output_format")
        return cls(
            effect=effect_from_values(values.pop("effect")),
            regions=tuple(map(region_from_values, values.pop("regions"))),
            find=tuple(map(_find_from_values, values.pop("find", ()))),
            effort=Effort(values.pop("effort", Effort.BALANCED)),
            exclude_regions=tuple(map(region_from_values, values.pop("exclude_regions", ()))),
            output_format=output_format and Format(output_format),
            **values,
        )


def effect_values(effect: Effect) -> dict[str, Any]:
    """Return an effect as values for JSON."""
    kind = next(name for name, class_ in EFFECTS.items() if isinstance(effect, class_))
    return {"kind": kind} | vars(effect)


def effect_from_values(values: dict[str, Any]) -> Effect:
    """Return the effect of `effect_values`."""
    return EFFECTS[values["kind"]](**{name: value for name, value in values.items() if name != "kind"})


def region_values(region: Region) -> dict[str, Any]:
    """Return a region as values for JSON."""
    values = dict(vars(region))
    values["effect"] = region.effect and effect_values(region.effect)
    values["strokes"] = [vars(stroke) for stroke in region.strokes]
    # Workers of the version before know no points and strokes, and need none of boxes and ellipses.
    for name in ("effect", "points", "strokes"):
        if not values[name]:
            del values[name]
    return values


def region_from_values(values: dict[str, Any]) -> Region:
    """Return the region of `region_values`."""
    effect = values.get("effect")
    return Region(
        **values
        | {
            "effect": effect and effect_from_values(effect),
            "points": tuple(map(tuple, values.get("points", ()))),
            "strokes": tuple(
                Stroke(tuple(map(tuple, stroke["points"])), stroke["width"]) for stroke in values.get("strokes", ())
            ),
        }
    )


def _find_from_values(values: dict[str, Any]) -> Find:
    classes = tuple(map(TextClass, values["text_classes"]))
    return Find(**values | {"kind": FindingKind(values["kind"]), "text_classes": classes})
