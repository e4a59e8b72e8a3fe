"""What the steps of the engine hand to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.blur_worker.engine.metadata import Metadata
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Format

ANIMATED = frozenset({Format.GIF, Format.WEBP, Format.PNG, Format.AVIF})
"""Formats that hold frames in time; TIFF holds pages, which is something else."""


@dataclass(frozen=True)
class Limits:
    """What the engine refuses, so that nobody else's image suffers."""

    max_pixels: int
    """Width × height × frames; of a TIFF the sum over its pages."""


@dataclass(frozen=True)
class Blurred:
    """A finished image."""

    data: bytes
    format: Format
    width: int
    height: int
    frames: int
    """Frames or pages that were blurred."""
    path: str
    """Which implementation made it, for logs and benchmarks: `pixels` for whatever goes by way of full-size pixels."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each stage took, in the order of the stages: decode, blur, encode."""


@dataclass(frozen=True)
class Frame:
    """One frame or page, upright and complete as displayed."""

    raster: Raster
    milliseconds: float = 0


@dataclass(frozen=True)
class Picture:
    """A decoded file."""

    format: Format
    frames: tuple[Frame, ...]
    metadata: Metadata
    plays: int = 0
    """How often an animation is shown; 0 is for ever."""
    subsampling: str = "4:2:0"
    """How a JPEG stores its colour: 4:4:4, 4:2:2 or 4:2:0."""
    lossless: bool = False
    """Whether a WebP is stored without loss."""
    compression: str = ""
    """How a TIFF is packed, by Pillow's names."""
