"""Colours of 16 bits, of which Pillow reads only the upper 8: it is asked for the lower ones too."""

import sys
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, COMPRESSION, PLANAR_CONFIGURATION, TiffImageFile

from services.blur_worker.engine.modes import with_key
from services.blur_worker.engine.raster import Raster
from services.blur_worker.engine.sniffing import unsupported

_SEPARATE, _PLAIN = 2, 1
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The byte order that takes the lower byte of a sample for the upper one: by the last letter of a layout's name."""


def load(data: bytes, image: ImageFile.ImageFile, index: int) -> Raster | None:
    """Loads the frame that an opened image stands at, if its colours have 16 bits; None if not.

    Args:
        data: The file.
        image: Not yet loaded; afterwards loaded.
        index: Of the frame.

    Raises:
        ImageError: UNSUPPORTED.
    """
    if not isinstance(image, PngImageFile | TiffImageFile) or not image.tile:
        return None
    if isinstance(image, PngImageFile) and image.is_animated:
        return None
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PLANAR_CONFIGURATION) == _SEPARATE:
        _check_planes(image)
        return None
    layout = _layout(image)
    if layout == "LA;16B":
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]  # four bytes as they are
        return Raster("LA", _loaded(image).view(">u2").astype(np.uint16))
    if layout[:-1] != f"{image.mode};16" or image.mode not in {"RGB", "RGBA", "CMYK"}:
        return None
    swapped = layout[:-1] + _SWAPPED[layout[-1]]
    with type(image)(BytesIO(data)) as again:
        again.seek(index)
        again.tile = [tile._replace(args=_with_layout(tile.args, swapped)) for tile in again.tile]
        lower = _loaded(again)
    raster = Raster(image.mode, _loaded(image) * np.uint16(256) + lower)
    key = image.info.get("transparency")
    return with_key(raster, key) if isinstance(key, tuple) and raster.mode == "RGB" else raster


def _check_planes(image: TiffImageFile) -> None:
    """Leaves a picture in separate planes to Pillow, which gives 8 bits of 16 if they are packed, and noise if not."""
    if set(image.tag_v2.get(BITSPERSAMPLE, ())) == {16} and image.tag_v2.get(COMPRESSION, _PLAIN) == _PLAIN:
        raise unsupported("TIFF with colours of 16 bits in separate planes, not packed")


def _layout(image: ImageFile.ImageFile) -> str:
    """How samples lie in the file, by Pillow's names."""
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) and args else args)


def _with_layout(args: object, layout: str) -> tuple[object, ...] | str:
    return (layout, *args[1:]) if isinstance(args, tuple) else layout


def _loaded(image: Image.Image) -> NDArray[np.uint8]:
    image.load()
    return np.asarray(image)
