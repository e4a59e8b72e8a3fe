"""Reduce true colour to a palette of 256 colours, for GIF."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.formats.palette_tree import reduce_colors

_COLORS = 256
_Mask = NDArray[np.bool_]
_Indices = NDArray[np.uint8]
"""Shape (height, width): for each pixel an index into the palette."""
_Palette = NDArray[np.uint8]
"""Shape (colours, 3): RGB."""
_Packed = NDArray[np.uint32]
"""Colours as numbers, 0xRRGGBB."""


def to_palette(image: Image.Image, exact: _Mask | None) -> tuple[Image.Image, int | None]:
    """Convert a frame to mode P.

    A frame of no more colours than fit keeps them all. Otherwise, if the pixels of `exact` have no more, those keep
    theirs, and the other pixels share the rest of the palette. Without dithering, which would add noise to flat fills
    and pixelated cells, and flicker to animations.

    Args:
        image: In mode RGB or RGBA; an alpha of 128 and more counts as opaque.
        exact: Shape (height, width): pixels that should stay exact, None for none.

    Returns:
        The frame, and the index of its transparent colour if it has transparent pixels.
    """
    room = _COLORS
    opaque = None
    colors = image.convert("RGB")
    if image.mode == "RGBA":
        alpha = image.getchannel("A").point([0] * 128 + [255] * 128)
        if alpha.getextrema() != (255, 255):
            opaque = np.asarray(alpha) > 0
            room -= 1
            colors = Image.composite(colors, Image.new("RGB", image.size), alpha)
    indices, palette = _quantize(colors, exact, opaque, room)
    transparent = None
    if opaque is not None:
        transparent = len(palette)
        indices[~opaque] = transparent
        palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
    frame = Image.fromarray(indices)
    frame.putpalette(palette.tobytes())
    return frame, transparent


def _quantize(colors: Image.Image, exact: _Mask | None, opaque: _Mask | None, room: int) -> tuple[_Indices, _Palette]:
    if colors.getcolors(room) is not None:
        packed = _pack(colors)
        all_colors = np.unique(packed)
        return np.searchsorted(all_colors, packed).astype(np.uint8), _unpack(all_colors)
    if exact is not None:
        packed = _pack(colors)
        exact_colors = np.unique(packed[exact if opaque is None else exact & opaque])
        if 0 < len(exact_colors) <= room:
            return _quantize_around(colors, packed, exact, exact_colors, room)
    return reduce_colors(_pack(colors), room)


def _quantize_around(
    colors: Image.Image, packed: _Packed, exact: _Mask, exact_colors: _Packed, room: int
) -> tuple[_Indices, _Palette]:
    """Give the exact pixels their own colours, and the others what room is left, or the nearest if there is none."""
    palette = _unpack(exact_colors)
    if len(exact_colors) < room:
        indices = np.empty(packed.shape, np.uint8)
        reduced, more = reduce_colors(packed[~exact], room - len(exact_colors))
        indices[~exact] = reduced + np.uint8(len(exact_colors))
        palette = np.concatenate([palette, more])
    else:
        whole = Image.new("P", (1, 1))
        whole.putpalette(palette.tobytes())
        indices = np.array(colors.quantize(palette=whole, dither=Image.Dither.NONE))
    indices[exact] = np.searchsorted(exact_colors, packed[exact]).clip(0, len(exact_colors) - 1)
    return indices, palette


def _pack(colors: Image.Image) -> _Packed:
    return np.frombuffer(colors.tobytes("raw", "BGRX"), "<u4").reshape(colors.height, colors.width)


def _unpack(packed: _Packed) -> _Palette:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)
