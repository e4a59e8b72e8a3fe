"""Pillow's modes: into those that the engine works in, and on into those that a format can hold."""

import numpy as np
from PIL import Image

from services.common.errors import ImageError, Reason
from services.common.spec import Format

_WORKING = {
    "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "I;16": "I;16", "YCbCr": "YCbCr",
    "1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA",
}  # fmt: skip
_KEYED = {"1": "LA", "L": "LA", "RGB": "RGBA", "P": "RGBA", "PA": "RGBA"}
"""With one colour or palette entries declared transparent."""
_HOLDS = {
    Format.JPEG: {"L", "RGB", "CMYK", "YCbCr"},
    Format.PNG: {"L", "LA", "RGB", "RGBA", "I;16"},
    Format.WEBP: {"RGB", "RGBA"},
    Format.GIF: {"RGB", "RGBA"},
    Format.TIFF: {"L", "LA", "RGB", "RGBA", "I;16", "CMYK"},
    Format.BMP: {"L", "RGB", "RGBA"},
    Format.AVIF: {"L", "RGB", "RGBA"},
}


def working(image: Image.Image) -> Image.Image:
    """Gives a loaded image as a new one in a mode of `Frame`, its `info` empty.

    Raises:
        ImageError: UNSUPPORTED.
    """
    keyed = "transparency" in image.info
    if image.mode == "I;16" and keyed:
        upright = _keyed_16(image, image.info["transparency"])
    elif image.mode in {"I;16B", "I;16L", "I;16N"}:
        upright = Image.fromarray(np.asarray(image).astype(np.uint16))  # Pillow's conversion clips at 255
    elif image.mode in _WORKING:
        mode = _WORKING[image.mode]
        if keyed or (image.mode == "P" and image.has_transparency_data):
            mode = _KEYED.get(image.mode, mode)
        # By way of L, which is where Pillow knows of a transparent grey.
        upright = image.convert("L").convert(mode) if image.mode == "1" and not keyed else image.convert(mode)
    else:
        raise ImageError(Reason.UNSUPPORTED, f"Pixels of the kind {image.mode} are not supported")
    upright.info = {}
    return upright


def held(image: Image.Image, format_: Format) -> Image.Image:
    """Gives an image as the format can hold it; where that has no alpha, the image lies on white."""
    holds = _HOLDS[format_]
    if image.mode in holds:
        return image
    if image.mode == "I;16":
        return held(Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), format_)
    if image.mode in {"LA", "RGBA"} and "RGBA" not in holds:
        return held(_on_white(image), format_)
    if image.mode == "LA":
        return image.convert("RGBA")
    return image.convert("RGB")


def _keyed_16(image: Image.Image, key: int) -> Image.Image:
    # Pillow has no 16-bit grey with alpha: the depth goes, so that the picture looks as before.
    samples = np.asarray(image)
    grey = Image.fromarray((samples >> 8).astype(np.uint8))
    return Image.merge("LA", [grey, Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8))])


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new(image.mode[:-1], image.size, "white")
    white.paste(image.convert(image.mode[:-1]), mask=image.getchannel("A"))
    return white
