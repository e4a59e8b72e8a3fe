"""A page as it is displayed."""

import numpy as np

from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.formats.tiff_reader.directory import Directory, Tag
from services.blur_worker.engine.formats.tiff_reader.layout import ASSOCIATED, Layout, Photometric
from services.blur_worker.engine.formats.tiff_reader.samples import read_samples
from services.blur_worker.engine.raster import Raster, Samples

_GREY = {Photometric.WHITE_IS_ZERO, Photometric.BLACK_IS_ZERO, Photometric.MASK, Photometric.PALETTE}
_MODES = {Photometric.RGB: "RGB", Photometric.CMYK: "CMYK", Photometric.YCBCR: "RGB"}
_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
_BT_601 = (0.299, 0.587, 0.114)
_ROWS_AT_ONCE = 256


def read_page(data: bytes, page: Directory, layout: Layout) -> Raster:
    """Decode a page, upright.

    Raises:
        ImageError: UNSUPPORTED.
        ValueError: The page is damaged.
    """
    stored = read_samples(data, page, layout)
    colors = _colors(stored[..., : layout.colors], page, layout)
    alpha = _scaled(stored[..., layout.colors], layout.bits) if layout.extra else None
    mode = "L" if layout.photometric in _GREY else _MODES[layout.photometric]
    raster = Raster("RGB" if layout.photometric is Photometric.PALETTE else mode, colors)
    orientation = page.number(Tag.ORIENTATION, 1)
    return _with_alpha(raster, alpha, layout).oriented(orientation if 1 <= orientation <= 8 else 1)


def _colors(stored: Samples, page: Directory, layout: Layout) -> Samples:
    if layout.photometric is Photometric.PALETTE:
        return _from_palette(stored[..., 0], page, layout.bits)
    if layout.photometric is Photometric.YCBCR:
        return _to_rgb(stored, page)
    scaled = _scaled(stored, layout.bits)
    if layout.photometric is Photometric.WHITE_IS_ZERO:
        return np.subtract(np.iinfo(scaled.dtype).max, scaled, dtype=scaled.dtype)
    return scaled


def _scaled(samples: Samples, bits: int) -> Samples:
    """Return samples of 8 or 16 bits."""
    if bits in {8, 16}:
        return samples
    most, whole = (1 << bits) - 1, 255 if bits < 8 else 65535
    levels = (np.arange(most + 1, dtype=np.uint32) * whole + most // 2) // most
    scaled: Samples = (levels.astype(np.uint8) if bits < 8 else levels.astype(np.uint16))[samples]
    return scaled


def _from_palette(indices: Samples, page: Directory, bits: int) -> Samples:
    """Look colours up. Some writers fill the colour map with 8-bit values: libtiff reads it so if none is larger."""
    values = np.array(page.numbers(Tag.COLOR_MAP), np.int64)
    if len(values) < 3 << bits:
        raise ValueError("no palette")
    table = values[: 3 << bits].reshape(3, -1).T
    return (table if table.max() < 256 else table >> 8).astype(np.uint8)[indices]


def _to_rgb(stored: Samples, page: Directory) -> Samples:
    reference = page.fractions(Tag.REFERENCE_BLACK_WHITE)
    reference = reference if len(reference) == 6 else _FULL_RANGE
    red, green, blue = page.fractions(Tag.YCBCR_COEFFICIENTS) or _BT_601
    if green <= 0 or any(reference[2 * index + 1] == reference[2 * index] for index in range(3)):
        raise ValueError("impossible YCbCr")
    offsets = np.array(reference[::2], np.float32)
    scales = (np.array([255, 127, 127]) / (np.array(reference[1::2]) - np.array(reference[::2]))).astype(np.float32)
    result = np.empty(stored.shape, np.uint8)
    for top in range(0, len(stored), _ROWS_AT_ONCE):
        part = (stored[top : top + _ROWS_AT_ONCE].astype(np.float32) - offsets) * scales
        y, cb, cr = part[..., 0], part[..., 1], part[..., 2]
        r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
        g = (y - red * r - blue * b) / green
        result[top : top + _ROWS_AT_ONCE] = np.rint(np.stack([r, g, b], axis=2).clip(0, 255))
    return result


def _with_alpha(raster: Raster, alpha: Samples | None, layout: Layout) -> Raster:
    if alpha is None or (raster.mode == "CMYK" and bool((alpha == raster.max_value).all())):
        return raster
    if raster.mode == "CMYK":
        raise unsupported("TIFF in CMYK with transparency")
    colors = raster.samples
    if layout.extra == ASSOCIATED:
        colors = _not_premultiplied(colors, alpha, raster.max_value)
    return Raster(f"{raster.mode}A", np.concatenate([colors, alpha[..., np.newaxis]], axis=2))


def _not_premultiplied(colors: Samples, alpha: Samples, max_value: int) -> Samples:
    result = np.empty_like(colors)
    for top in range(0, len(colors), _ROWS_AT_ONCE):
        part = slice(top, top + _ROWS_AT_ONCE)
        share = np.maximum(alpha[part, :, np.newaxis], 1).astype(np.uint64)
        wide = colors[part].astype(np.uint64) * np.uint64(max_value)
        result[part] = ((wide + share // np.uint64(2)) // share).clip(0, max_value)
    return result
