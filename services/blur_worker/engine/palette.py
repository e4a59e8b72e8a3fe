"""From true colour to the 256 colours of a GIF."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLORS = 256


def to_palette(image: Image.Image, kept: NDArray[np.bool_] | None) -> tuple[Image.Image, int | None]:
    """Gives a frame in mode P, and which index is transparent.

    Where the frame has no more colours than fit, it stays exactly what it is. Where only `kept` (where the
    effect did not reach) has so few, those are exact and the changed pixels share the colours left over.
    No dithering: it would put noise into flat fills and cells, and flicker in animations.

    Args:
        image: In mode RGB or RGBA; alpha from 128 counts as opaque.
        kept: (height, width): where pixels must stay exact; None: nowhere.
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
    indexed, table = _index(colors, kept, opaque, room)
    transparent = None
    if opaque is not None:
        transparent = len(table)
        indexed[~opaque] = transparent
        table = np.concatenate([table, np.zeros((1, 3), np.uint8)])
    frame = Image.fromarray(indexed)
    frame.putpalette(table.tobytes())
    return frame, transparent


def _index(
    colors: Image.Image, kept: NDArray[np.bool_] | None, opaque: NDArray[np.bool_] | None, room: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if colors.getcolors(room) is not None:
        packed = _packed(colors)
        table = np.unique(packed)
        return np.searchsorted(table, packed).astype(np.uint8), _unpack(table)
    if kept is not None:
        packed = _packed(colors)
        exact = np.unique(packed[kept if opaque is None else kept & opaque])
        if 0 < len(exact) <= room:
            return _index_around(colors, packed, kept, exact, room)
    # Nine tenths of a GIF's time. The octree takes a twentieth of it, but of pictures of few hues, as wide blurs are,
    # it makes visible steps: 38 dB where this gives 45 to 54.
    reduced = colors.quantize(room, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.array(reduced), _table_of(reduced)


def _index_around(
    colors: Image.Image, packed: NDArray[np.uint32], kept: NDArray[np.bool_], exact: NDArray[np.uint32], room: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Indices where the kept pixels have their own colours, and the others what is left or what is nearest."""
    table = _unpack(exact)
    if len(exact) < room:
        changed = Image.fromarray(np.asarray(colors)[~kept][np.newaxis])
        reduced = changed.quantize(room - len(exact), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        table = np.concatenate([table, _table_of(reduced)])[:room]
    whole = Image.new("P", (1, 1))
    whole.putpalette(table.tobytes())
    indexed = np.array(colors.quantize(palette=whole, dither=Image.Dither.NONE))
    indexed[kept] = np.searchsorted(exact, packed[kept]).clip(0, len(exact) - 1)
    return indexed, table


def _packed(colors: Image.Image) -> NDArray[np.uint32]:
    return np.asarray(colors).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)


def _unpack(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)


def _table_of(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
