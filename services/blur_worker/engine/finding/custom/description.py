"""The descriptions of custom models: TOML files."""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.common.domain.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_SIDE = 4096


class OutputLayout(StrEnum):
    """How the output is arranged; n candidates, c classes."""

    YOLOV5 = "yolov5"
    """(1, n, 5 + c): centre x, y, width, height, objectness, class scores. Also YOLOv7."""
    YOLOV8 = "yolov8"
    """(1, 4 + c, n): centre x, y, width, height, class scores. Also YOLOv9 and YOLO11."""
    END_TO_END = "end_to_end"
    """(1, n, 6): left, top, right, bottom, score, class; without overlaps. YOLOv10, and exports with NMS."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """A model as a TOML file describes it."""

    path: Path
    """Path of the TOML file."""
    onnx_path: Path
    name: str
    version: str
    license: str
    labels: tuple[str, ...]
    """By the number of the class."""
    layout: OutputLayout
    width: int
    """Width of the model's input, in pixels; `height` likewise."""
    height: int
    min_confidence: float
    max_overlap: float
    """Greatest overlap of findings of one class (intersection over union); above it, the less confident is dropped."""
    padding: float


def read_descriptions(folder: Path) -> list[Description]:
    """Return the descriptions in a folder, sorted by name.

    Raises:
        ConfigurationError: One is wrong, two have the same name, or a file is missing; names it and what to do.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in {".toml", ".onnx"})
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}; it must be the folder of the custom models") from None
    for path in paths:
        if path.suffix == ".onnx" and path.with_suffix(".toml") not in paths:
            raise ConfigurationError(f"{path}: has no description; add {path.with_suffix('.toml').name} beside it")
    descriptions = [read_description(path) for path in paths if path.suffix == ".toml"]
    by_name: dict[str, Description] = {}
    for one in descriptions:
        if one.name in by_name:
            raise ConfigurationError(f"{one.path}: name: {one.name!r} is also in {by_name[one.name].path.name}")
        by_name[one.name] = one
    return [by_name[name] for name in sorted(by_name)]


def read_description(path: Path) -> Description:
    """Return the content of a TOML file.

    Raises:
        ConfigurationError: It is wrong, or there is no ONNX file beside it.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from None
    onnx_path = path.with_suffix(".onnx")
    if not onnx_path.is_file():
        raise ConfigurationError(f"{path}: describes {onnx_path.name}, which is missing; add it or remove both")
    fields = _Fields(path, values)
    width, height = fields.size("input_size")
    description = Description(
        path=path,
        onnx_path=onnx_path,
        name=fields.name("name"),
        version=fields.text("version"),
        license=fields.text("license"),
        labels=fields.texts("labels"),
        layout=fields.layout("layout"),
        width=width,
        height=height,
        min_confidence=fields.fraction("min_confidence", default=0.25),
        max_overlap=fields.fraction("max_overlap", default=0.45),
        padding=fields.fraction("padding", default=0.1, most=2),
    )
    fields.check_all_known()
    return description


class _Fields:
    """The values of a file; raises ConfigurationError for those that are wrong."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self._path = path
        self._values = values
        self._known: set[str] = set()

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            self._fail(key, 'must be a text in quotes, such as "1.0"')
        return str(value)

    def name(self, key: str) -> str:
        value = self.text(key)
        if not _NAME.fullmatch(value):
            self._fail(key, "must be at most 64 letters, digits, dots, hyphens and underscores")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._value(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            self._fail(key, 'must be a list of texts, one for each class, such as ["plate"]')
        return tuple(value)

    def size(self, key: str) -> tuple[int, int]:
        value = self._value(key)
        sides = value if isinstance(value, list) else []
        if len(sides) != 2 or not all(type(side) is int and 32 <= side <= _MAX_SIDE for side in sides):
            self._fail(key, f"must be width and height of the model's input, 32 to {_MAX_SIDE}, such as [640, 640]")
        return sides[0], sides[1]

    def layout(self, key: str) -> OutputLayout:
        value = self._value(key)
        if value not in list(OutputLayout):
            self._fail(key, f"must be one of {', '.join(OutputLayout)}")
        return OutputLayout(value)

    def fraction(self, key: str, *, default: float, most: float = 1) -> float:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self._fail(key, f"must be a number from 0 to {most}")
        return float(value)

    def check_all_known(self) -> None:
        for key in self._values:
            if key not in self._known:
                self._fail(key, f"is unknown; known are {', '.join(sorted(self._known))}")

    def _value(self, key: str, default: Any = None) -> Any:
        self._known.add(key)
        value = self._values.get(key, default)
        if value is None:
            self._fail(key, "is missing")
        return value

    def _fail(self, key: str, problem: str) -> None:
        raise ConfigurationError(f"{self._path}: {key}: {problem}")
