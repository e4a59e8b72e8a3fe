"""The records that the steps of the engine pass on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.blur_worker.engine.metadata import Metadata
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Format


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
    """The implementation that produced it, for logs and benchmarks: `pixels`, `jpeg-synthesis` or `jpeg-splice`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock time by stage, in the order of the stages: decode, blur, encode."""


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
