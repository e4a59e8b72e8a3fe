"""Convert pixels to sRGB, for a result that cannot describe other colours."""

from functools import lru_cache
from io import BytesIO
from typing import Protocol

import numpy as np
from PIL import ImageCms

from services.blur_worker.engine.color.description import ColorDescription
from services.blur_worker.engine.color.icc_profile import (
    ADOBE_RGB,
    ADOBE_RGB_GAMMA,
    BT_709,
    HDR_TRANSFERS,
    HLG,
    PQ,
    curve_of,
    icc_profile_for,
    linear_transform,
    matrix_profile,
)
from services.blur_worker.engine.raster import Raster

_ROWS_AT_ONCE = 256
_GREY = {"L", "LA"}
_WHITE = {PQ: 203 / 10_000, HLG: 0.203 ** (1 / 1.2)}
"""The light of reference white (BT.2408), of the most that the transfer can express."""
_TONES = {PQ: (np.float32(0.777), np.float32(0.777)), HLG: (np.float32(0.584), np.float32(0.435))}
"""Exposure, and by how much the brightest channel darkens a pixel: fitted to what Chromium 156 shows, to 2 levels."""
_LUMINANCE = np.array([0.2627, 0.678, 0.0593], np.float32)


class Target(Protocol):
    """What matters of the format of the result: a `Codec`."""

    @property
    def modes(self) -> frozenset[str]:
        """The modes of a raster that it can hold."""

    @property
    def carries_profiles(self) -> bool:
        """Whether a file can have a profile."""

    @property
    def carries_grey_profiles(self) -> bool:
        """Whether one of grey is understood there."""


def to_colors_of(target: Target, raster: Raster, color: ColorDescription) -> Raster:
    """Return the raster in sRGB if the format cannot describe its colours; otherwise the same raster."""
    if target.carries_profiles:
        grey = raster.mode in _GREY and not target.carries_grey_profiles and icc_profile_for(color, raster.mode)
        ink = raster.mode == "CMYK" and raster.mode not in target.modes
        if not (grey or ink):
            return raster
    return to_srgb(raster, color)


def to_srgb(raster: Raster, color: ColorDescription) -> Raster:
    """Return the raster in sRGB, with 8 bits; the same raster if it needs no conversion, or a profile is damaged.

    Without a profile of its own CMYK is left to the conversion by formula, as in browsers.
    """
    if color.code_points is not None and color.code_points[1] in HDR_TRANSFERS and raster.mode in {"RGB", "RGBA"}:
        return _hdr_to_srgb(raster, *color.code_points)
    profile = icc_profile_for(color, raster.mode)
    if profile is None and color.adobe_rgb and raster.mode in {"RGB", "RGBA"}:
        profile = matrix_profile(ADOBE_RGB, ADOBE_RGB_GAMMA, grey=False)
    if profile is None:
        return raster
    image = raster.to_8_bit().to_pillow()
    colors = image.convert(raster.mode[:-1]) if raster.has_alpha else image
    try:
        converted = ImageCms.applyTransform(colors, _transform(profile, colors.mode))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return raster
    if converted is None:
        return raster
    if raster.has_alpha:
        converted.putalpha(image.getchannel("A"))
    return Raster.from_pillow(converted)


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL)


def _hdr_to_srgb(raster: Raster, primaries: int, transfer: int) -> Raster:
    """Compress the light so that bright parts keep their detail, much as Chromium does on a screen of less light."""
    curve = curve_of(transfer)
    matrix = linear_transform(primaries, BT_709)
    if curve is None or matrix is None:
        return raster
    exposure, compression = _TONES[transfer]
    light = (curve(np.arange(raster.max_value + 1) / raster.max_value) / _WHITE[transfer]).astype(np.float32)
    result = np.empty(raster.samples.shape, np.uint8)
    if raster.has_alpha:
        result[..., 3] = raster.to_8_bit().samples[..., 3]
    for top in range(0, len(result), _ROWS_AT_ONCE):
        part = slice(top, top + _ROWS_AT_ONCE)
        linear = light[raster.samples[part, :, :3]]
        if transfer == HLG:  # from the scene to a screen (BT.2100)
            linear *= (linear @ _LUMINANCE)[..., np.newaxis] ** np.float32(0.2)
        linear *= exposure / (1 + compression * exposure * linear.max(axis=2, keepdims=True))
        linear = (linear @ matrix.T.astype(np.float32)).clip(0, 1)
        samples = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** np.float32(1 / 2.4) - 0.055)
        result[part, :, :3] = np.rint(samples * 255)
    return Raster(raster.mode, result)
