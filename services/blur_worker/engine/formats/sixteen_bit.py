"""Load 16-bit colours with Pillow, which reads only the upper 8 bits of them.

It reads the lower bits if it is given the opposite byte order.
"""

import sys
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, COMPRESSION, PLANAR_CONFIGURATION, TiffImageFile

from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.pixel_modes import apply_transparent_color
from services.blur_worker.engine.raster import Raster

_SEPARATE_PLANES, _UNCOMPRESSED = 2, 1
_OPPOSITE_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""By the last letter of Pillow's name of a raw mode, its byte order: big, little or native."""


def load_16_bit(data: bytes, image: ImageFile.ImageFile, index: int) -> Raster | None:
    """Load the current frame of an opened PNG or TIFF if its colours have 16 bits.

    Args:
        data: The file.
        image: Opened from it, positioned at the frame; loaded afterwards if the result is not None.
        index: Of the frame.

    Returns:
        The frame, or None if it has 8 bits, a single channel, or another format.

    Raises:
        ImageError: UNSUPPORTED.
    """
    if not isinstance(image, PngImageFile | TiffImageFile) or not image.tile:
        return None
    if isinstance(image, PngImageFile) and image.is_animated:
        return None
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PLANAR_CONFIGURATION) == _SEPARATE_PLANES:
        _check_planes(image)
        return None
    raw_mode = _raw_mode(image)
    if raw_mode == "LA;16B":
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]  # the four bytes of a pixel, unchanged
        return Raster("LA", _load(image).view(">u2").astype(np.uint16))
    if raw_mode[:-1] != f"{image.mode};16" or image.mode not in {"RGB", "RGBA", "CMYK"}:
        return None
    opposite = raw_mode[:-1] + _OPPOSITE_ORDER[raw_mode[-1]]
    with type(image)(BytesIO(data)) as again:
        again.seek(index)
        again.tile = [tile._replace(args=_with_raw_mode(tile.args, opposite)) for tile in again.tile]
        lower = _load(again)
    raster = Raster(image.mode, _load(image) * np.uint16(256) + lower)
    color = image.info.get("transparency")
    return apply_transparent_color(raster, color) if isinstance(color, tuple) and raster.mode == "RGB" else raster


def _check_planes(image: TiffImageFile) -> None:
    """Refuse what Pillow decodes to noise: 16 bits in separate planes. If compressed, it decodes the upper 8 bits."""
    if (
        set(image.tag_v2.get(BITSPERSAMPLE, ())) == {16}
        and image.tag_v2.get(COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
    ):
        raise unsupported("TIFF with colours of 16 bits in separate planes, not packed")


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for the layout of samples in the file."""
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) and args else args)


def _with_raw_mode(args: object, raw_mode: str) -> tuple[object, ...] | str:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode


def _load(image: Image.Image) -> NDArray[np.uint8]:
    image.load()
    return np.asarray(image)
