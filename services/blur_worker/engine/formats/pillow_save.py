"""Encode with Pillow."""

import sys
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from services.blur_worker.engine.color import icc_profile_for
from services.blur_worker.engine.metadata import Metadata
from services.blur_worker.engine.raster import Raster
from services.common.domain.spec import Format


def save(rasters: Sequence[Raster], format_: Format, **options: Any) -> bytes:
    """Encode one raster, or several as frames or pages, with Pillow's options of this format."""
    images = [raster.to_pillow() for raster in rasters]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    out = BytesIO()
    images[0].save(out, format_.value, **options)
    return out.getvalue()


def metadata_options(metadata: Metadata, mode: str, max_bytes: int = sys.maxsize) -> dict[str, Any]:
    """Return Pillow's options for ICC profile, EXIF and XMP of an image of this mode.

    Args:
        metadata: What to write.
        mode: Of the raster.
        max_bytes: EXIF or XMP of more bytes is left out.
    """
    options: dict[str, Any] = {}
    if icc_profile := icc_profile_for(metadata.color, mode):
        options["icc_profile"] = icc_profile
    if metadata.xmp and len(metadata.xmp) <= max_bytes:
        options["xmp"] = metadata.xmp
    # As bytes: Pillow takes one that has nothing but further directories for empty.
    if metadata.exif is not None and len(exif := metadata.exif.tobytes()) <= max_bytes:
        options["exif"] = exif
    return options
