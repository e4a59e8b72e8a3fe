"""A file as it is described without Pillow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class MetadataSource:
    """The parts of a Pillow image that metadata are read from."""

    format: str
    info: dict[str, Any] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
