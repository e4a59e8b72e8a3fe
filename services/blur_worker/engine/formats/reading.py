"""What a decoder of our own is asked for, and what it returns."""

from dataclasses import dataclass

from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.metadata_source import MetadataSource
from services.common.domain.spec import Format


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """What is wanted of a file."""

    limits: Limits
    all_frames: bool
    """Whether the result can hold all frames or pages; otherwise the first is enough."""
    target: Format
    """The format of the result."""
    keep_metadata: bool


@dataclass(frozen=True, kw_only=True)
class ReadFile:
    """A decoded file."""

    frames: list[Frame]
    described: MetadataSource
    oriented: bool = False
    """Whether the frames are upright already."""
