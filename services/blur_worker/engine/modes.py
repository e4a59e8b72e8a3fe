"""Kinds of pixels: from Pillow's into those that the engine works on, and on into those that a format can hold."""

import numpy as np
from PIL import Image

from services.blur_worker.engine.raster import Raster, raster_of
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

_WORKING = {
    "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "I;16": "I;16", "YCbCr": "YCbCr",
    "1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA",
}  # fmt: skip
_KEYED = {"1": "LA", "L": "LA", "RGB": "RGBA", "P": "RGBA", "PA": "RGBA"}
"""With one colour or palette entries declared transparent."""
_HOLDS = {
    Format.JPEG: {"L", "RGB", "CMYK", "YCbCr"},
    Format.PNG: {"L", "LA", "RGB", "RGBA"},
    Format.WEBP: {"RGB", "RGBA"},
    Format.GIF: {"RGB", "RGBA"},
    Format.TIFF: {"L", "LA", "RGB", "RGBA", "CMYK"},
    Format.BMP: {"L", "RGB", "RGBA"},
    Format.AVIF: {"L", "RGB", "RGBA"},
}
_DEEP = {Format.PNG, Format.TIFF}
"""Formats that hold 16 bits."""


def working(image: Image.Image) -> Raster:
    """Gives the pixels of a loaded image.

    Raises:
        ImageError: UNSUPPORTED.
    """
    keyed = "transparency" in image.info
    if image.mode == "I;16" and keyed:
        return with_key(raster_of(image), (image.info["transparency"],))
    if image.mode in {"I;16B", "I;16L", "I;16N"}:
        # Pillow's conversion clips at 255.
        return Raster("L", np.asarray(image).astype(np.uint16)[:, :, np.newaxis])
    if image.mode not in _WORKING:
        raise ImageError(Reason.UNSUPPORTED, f"Pixels of the kind {image.mode} are not supported")
    mode = _WORKING[image.mode]
    if keyed or (image.mode == "P" and image.has_transparency_data):
        mode = _KEYED.get(image.mode, mode)
    # By way of L, which is where Pillow knows of a transparent grey.
    by_grey = image.mode == "1" and not keyed
    return raster_of((image.convert("L") if by_grey else image).convert(mode))


def with_key(raster: Raster, key: tuple[int, ...]) -> Raster:
    """Gives pixels that are transparent wherever they have exactly the colour `key`."""
    opaque = (raster.samples != np.array(key)).any(axis=2, keepdims=True)
    alpha = (opaque * raster.top).astype(raster.samples.dtype)
    return Raster(f"{raster.mode}A", np.concatenate([raster.samples, alpha], axis=2))


def held(raster: Raster, format_: Format) -> Raster:
    """Gives pixels as the format can hold them; where that has no alpha, they lie on white."""
    holds = _HOLDS[format_]
    if raster.is_deep and format_ not in _DEEP:
        raster = raster.narrowed()
    if raster.is_deep and raster.mode == "LA" and format_ is Format.TIFF:
        return Raster("RGBA", raster.samples[:, :, [0, 0, 0, 1]])  # few can read a TIFF of the other kind
    if raster.mode in holds:
        return raster
    image = raster.narrowed().to_image()
    if raster.has_alpha and "RGBA" not in holds:
        return held(raster_of(_on_white(image)), format_)
    return raster_of(image.convert("RGBA" if raster.mode == "LA" else "RGB"))


def alike(rasters: list[Raster]) -> list[Raster]:
    """Gives frames of an animation in one kind: that of the richest, with 8 bits if they differ."""
    if len({(raster.mode, raster.is_deep) for raster in rasters}) == 1:
        return rasters
    mode = "RGBA" if any(raster.has_alpha for raster in rasters) else "RGB"
    return [raster_of(raster.narrowed().to_image().convert(mode)) for raster in rasters]


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new(image.mode[:-1], image.size, "white")
    white.paste(image.convert(image.mode[:-1]), mask=image.getchannel("A"))
    return white
