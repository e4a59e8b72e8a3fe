"""What the engine needs to know about a file format, and what an encoder is given."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from PIL import ImageFile

from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import ImageInfo, SourceEncoding
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Box, Raster, Size
from services.common.domain.spec import BlurSpec, Format

_UNLIMITED = 1 << 31


class FrameKind(Enum):
    """What several images in one file are; a file keeps them only in a format of the same kind."""

    SINGLE = auto()
    """The format holds one image."""
    ANIMATION = auto()
    """Frames in time, all of the same size and mode."""
    PAGES = auto()
    """Pages, each with its own size and mode."""


@dataclass(frozen=True, kw_only=True)
class FramesToEncode:
    """What an encoder is given."""

    rasters: list[Raster]
    """At least one, in modes of the format; more than one according to its `FrameKind`."""
    milliseconds: list[float]
    """How long each frame of an animation is shown."""
    info: ImageInfo
    """Facts about the original, which may have another format."""
    spec: BlurSpec


def starts_with(*signatures: bytes) -> Callable[[bytes], bool]:
    """Return a `Codec.detect` for files that start with one of these signatures."""
    return lambda head: head.startswith(signatures)


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A file format: how to detect, decode and encode it, and what it can hold."""

    format: Format
    detect: Callable[[bytes], bool]
    """Whether a file is of this format, by its first 4096 bytes."""
    pillow_class: type[ImageFile.ImageFile] | None = None
    """Pillow's decoder; None if `read` decodes all files."""
    encode: Callable[[FramesToEncode], bytes]
    modes: frozenset[str]
    """The modes of a `Raster` that it can hold."""
    holds_16_bit: bool = False
    max_side: int = _UNLIMITED
    """In pixels."""
    frames: FrameKind = FrameKind.SINGLE
    carries_profiles: bool = True
    """Whether a file can describe its colours; otherwise they are converted to sRGB."""
    carries_grey_profiles: bool = True
    """Whether readers understand a grey ICC profile in this format; otherwise such pixels are converted to sRGB."""
    check: Callable[[bytes, Limits], None] = lambda _data, _limits: None
    """Called with the file before anything else reads it. Raises: ImageError, TOO_LARGE or UNSUPPORTED."""
    completed: Callable[[bytes, Limits], bytes] = lambda data, _limits: data
    """Called with the file: the same, or a repaired one if little is missing. Raises: ImageError, TOO_LARGE."""
    read: Callable[[bytes, ReadRequest], ReadFile | None] | None = None
    """A decoder of our own, which checks the limits itself; it returns None for a file for Pillow, and raises any
    exception for a damaged one."""
    displayed_area: Callable[[bytes, Size], Box | None] = lambda _data, _size: None
    """Given the file and the size of what is stored: the part that is shown, None for all of it."""
    prepare: Callable[[ImageFile.ImageFile, Format], None] = lambda _image, _target: None
    """Called with an opened, not yet loaded file and the format of the result. Raises: ImageError."""
    read_encoding: Callable[[ImageFile.ImageFile | MetadataSource, bytes], SourceEncoding] = lambda _image, _data: (
        SourceEncoding()
    )
    """Called with a loaded image and its file: how it was encoded."""
