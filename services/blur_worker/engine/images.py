"""The records that the steps of the engine pass on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.blur_worker.engine.metadata import Metadata
from services.blur_worker.engine.raster import Raster
from services.common.domain.findings import Finding, Inspection
from services.common.domain.spec import BlurSpec, Format


@dataclass(frozen=True, kw_only=True)
class Blurred:
    """A blurred image, encoded."""

    data: bytes
    format: Format
    width: int
    """In pixels, as displayed; like `height`."""
    height: int
    frames: int
    """Number of frames or pages."""
    path: str
    """The implementation that produced it, for logs and benchmarks: `pixels`, `jpeg-coefficients` or `jpeg-splice`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock time by stage, in the order of the stages: decode, find, blur, encode, check."""
    inspection: Inspection = field(default_factory=Inspection)
    """What was found and hidden, and whether it still can be found; empty if nothing was to be found."""


@dataclass(frozen=True, kw_only=True)
class FoundRegions:
    """What is in an image."""

    findings: tuple[Finding, ...]
    """From the most to the least confident; none of them is applied."""
    width: int
    """In pixels, as displayed; like `height`. Of a file with pages: of the first one."""
    height: int


@dataclass(frozen=True)
class Frame:
    """One frame or page: complete, as displayed, orientation applied."""

    raster: Raster
    milliseconds: float = 0
    """How long an animation shows it."""


@dataclass(frozen=True, kw_only=True)
class SourceEncoding:
    """How the original was encoded, as far as the result follows it."""

    plays: int = 0
    """How often an animation is played; 0 is for ever."""
    subsampling: str = "4:2:0"
    """Chroma subsampling of a JPEG or an AVIF: 4:4:4, 4:2:2 or 4:2:0."""
    coarse_chroma: bool = False
    """Whether a JPEG has fewer samples of chroma than any of these: it becomes 4:4:4."""
    stores_rgb: bool = False
    """Whether a JPEG stores RGB instead of YCbCr."""
    lossless: bool = False
    """Whether a WebP is lossless."""
    compression: str = ""
    """Compression of a TIFF, by Pillow's names."""


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """All of the original but its pixels."""

    format: Format
    metadata: Metadata
    encoding: SourceEncoding = SourceEncoding()


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A decoded original."""

    info: ImageInfo
    frames: list[Frame]


class HideableImage(Protocol):
    """A decoded image of which regions can be hidden, also several times, each time from the original."""

    @property
    def frames(self) -> list[Frame]:
        """The original's frames, as displayed."""

    def hide(self, spec: BlurSpec) -> Blurred:
        """Return the image with the spec's regions hidden; what it asks to find is not looked for."""
