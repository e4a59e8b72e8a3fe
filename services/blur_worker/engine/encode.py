"""Encode blurred frames into a file."""

from collections.abc import Sequence

from services.blur_worker.engine.formats import CODECS, FrameKind, FramesToEncode
from services.blur_worker.engine.images import Frame, ImageInfo
from services.blur_worker.engine.limits import check_sides
from services.blur_worker.engine.pixel_modes import to_stored_mode, unify_modes
from services.common.domain.spec import BlurSpec, Format


def encode(info: ImageInfo, frames: Sequence[Frame], format_: Format, spec: BlurSpec) -> bytes:
    """Encode frames in a format.

    Args:
        info: Of the original: metadata, and settings that the result follows where it has the same format.
        frames: At least one; more only if the format holds frames of this kind.
        format_: Of the result.
        spec: For the quality; its regions determine which pixels of a GIF must stay exact.

    Raises:
        ImageError: TOO_LARGE, if the format cannot hold an image of this size.
    """
    codec = CODECS[format_]
    rasters = [to_stored_mode(frame.raster, codec) for frame in frames]
    for raster in rasters:
        check_sides(raster.size, codec.max_side, format_)
    if codec.frames is not FrameKind.PAGES:
        rasters = unify_modes(rasters)
    milliseconds = [frame.milliseconds for frame in frames]
    return codec.encode(FramesToEncode(rasters=rasters, milliseconds=milliseconds, info=info, spec=spec))
