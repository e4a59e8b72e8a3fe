"""Convert pixels: from Pillow's modes to those that the engine works on, and on to those that a format can hold."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from services.blur_worker.engine.raster import Raster
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

if TYPE_CHECKING:
    from services.blur_worker.engine.formats.codec import Codec

_WORKING = {
    "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "I;16": "I;16", "YCbCr": "YCbCr",
    "1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA",
}  # fmt: skip
_WORKING_WITH_TRANSPARENCY = {"1": "LA", "L": "LA", "RGB": "RGBA", "P": "RGBA", "PA": "RGBA"}
"""For images in which one colour, or some of the palette, is declared transparent."""


def to_working_mode(image: Image.Image) -> Raster:
    """Return the pixels of a loaded image.

    Raises:
        ImageError: UNSUPPORTED, for a mode such as F.
    """
    transparent = "transparency" in image.info
    if image.mode in {"I;16B", "I;16L", "I;16N"}:
        # Pillow's own conversion clips at 255.
        return Raster("L", np.asarray(image).astype(np.uint16)[:, :, np.newaxis])
    if image.mode not in _WORKING:
        raise ImageError(Reason.UNSUPPORTED, f"Pixels of the kind {image.mode} are not supported")
    mode = _WORKING[image.mode]
    if transparent or (image.mode == "P" and image.has_transparency_data):
        mode = _WORKING_WITH_TRANSPARENCY.get(image.mode, mode)
    # Only from L does Pillow convert a transparent grey to alpha.
    through_grey = image.mode == "1" and not transparent
    return Raster.from_pillow((image.convert("L") if through_grey else image).convert(mode))


def to_stored_mode(raster: Raster, codec: "Codec") -> Raster:
    """Return the pixels as the format can hold them; for a format without alpha, on white."""
    if raster.is_16_bit and not codec.holds_16_bit:
        raster = raster.to_8_bit()
    if raster.is_16_bit and raster.mode == "LA" and codec.format is Format.TIFF:
        return Raster("RGBA", raster.samples[:, :, [0, 0, 0, 1]])  # few programs read a TIFF of the other kind
    if raster.mode in codec.modes:
        return raster
    image = raster.to_8_bit().to_pillow()
    if raster.has_alpha and "RGBA" not in codec.modes:
        return to_stored_mode(Raster.from_pillow(_on_white(image)), codec)
    return Raster.from_pillow(image.convert("RGBA" if raster.mode == "LA" else "RGB"))


def unify_modes(rasters: list[Raster]) -> list[Raster]:
    """Return the frames of an animation in one mode: with alpha if any has it, and with 8 bits if they differ."""
    if len({(raster.mode, raster.is_16_bit) for raster in rasters}) == 1:
        return rasters
    mode = "RGBA" if any(raster.has_alpha for raster in rasters) else "RGB"
    return [Raster.from_pillow(raster.to_8_bit().to_pillow().convert(mode)) for raster in rasters]


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new(image.mode[:-1], image.size, "white")
    white.paste(image.convert(image.mode[:-1]), mask=image.getchannel("A"))
    return white
