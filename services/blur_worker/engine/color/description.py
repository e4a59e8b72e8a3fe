"""The colour descriptions of files: an ICC profile, code points (CICP), a PNG's gamma and chromaticities, Adobe RGB."""

import struct
from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import IFD, Base

from services.blur_worker.engine.containers.iso_media import displayed_properties
from services.blur_worker.engine.containers.png_chunks import chunks
from services.blur_worker.engine.metadata_source import MetadataSource

UNSPECIFIED = 2
"""The code point "unspecified" (H.273)."""
_ICC_SIGNATURE = b"acsp"
_MIN_ICC_PROFILE_BYTES = 128  # its header
_PICTURES = (b"\xff\xd8\xff\xe0\0\x10JFIF", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"WEBPVP8", b"ftypavif")
_INTEROPERABILITY_INDEX = 1
_GAMMA_SCALE = 100_000
_Exif = Image.Exif


@dataclass(frozen=True, kw_only=True)
class ColorDescription:
    """All descriptions in a file; which of it holds is decided as browsers do, in this order."""

    code_points: tuple[int, int] | None = None
    """Colour primaries and transfer characteristics (H.273)."""
    icc_profile: bytes | None = None
    srgb_intent: int | None = None
    """Rendering intent of a PNG's chunk sRGB."""
    gamma: float | None = None
    """Gamma of a PNG's chunk gAMA: the exponent from light to samples, such as 0.45455."""
    chromaticities: tuple[float, ...] | None = None
    """Chromaticities of a PNG's chunk cHRM: x and y of white, red, green and blue."""
    adobe_rgb: bool = False
    """Declared by EXIF alone, as cameras do (DCF: interoperability R03, colour space uncalibrated)."""


def color_description(image: Image.Image | MetadataSource, data: bytes, exif: _Exif) -> ColorDescription:
    """Return the description of an opened file's colours.

    Args:
        image: Opened from the file.
        data: The file.
        exif: Of the file.
    """
    icc_profile = _profile(image.info.get("icc_profile"))
    adobe_rgb = icc_profile is None and image.format in {"JPEG", "TIFF", "WEBP", "PNG"} and _is_adobe_rgb(exif)
    if image.format in {"AVIF", "HEIF"}:
        return ColorDescription(icc_profile=icc_profile, code_points=_nclx(data) if icc_profile is None else None)
    if image.format == "PNG":
        return _of_png(data, icc_profile, adobe_rgb=adobe_rgb)
    return ColorDescription(icc_profile=icc_profile, adobe_rgb=adobe_rgb)


def _profile(found: object) -> bytes | None:
    if not isinstance(found, bytes) or len(found) < _MIN_ICC_PROFILE_BYTES or found[36:40] != _ICC_SIGNATURE:
        return None
    return None if any(sign in found for sign in _PICTURES) else found


def _nclx(data: bytes) -> tuple[int, int] | None:
    content = displayed_properties(data).get(b"colr", b"")
    return _specified(*struct.unpack_from(">HH", content, 4)) if len(content) >= 8 else None


def _specified(primaries: int, transfer: int) -> tuple[int, int] | None:
    return None if UNSPECIFIED in (primaries, transfer) else (primaries, transfer)


def _of_png(data: bytes, icc_profile: bytes | None, *, adobe_rgb: bool) -> ColorDescription:
    found: dict[bytes, bytes] = {}
    for name, content in chunks(data):
        if name in {b"IDAT", b"IEND"}:
            break
        if name in {b"cICP", b"sRGB", b"gAMA", b"cHRM"}:
            found.setdefault(name, bytes(content[:32]))
    code_points = found.get(b"cICP", b"")
    gamma, chromaticities, srgb = found.get(b"gAMA", b""), found.get(b"cHRM", b""), found.get(b"sRGB", b"")
    exponent = int.from_bytes(gamma, "big") / _GAMMA_SCALE if len(gamma) == 4 else 0
    return ColorDescription(
        # With a matrix other than RGB, or in narrow range, it is not one that a PNG may have.
        code_points=_specified(*code_points[:2]) if len(code_points) == 4 and code_points[2:] == b"\0\1" else None,
        icc_profile=icc_profile,
        srgb_intent=srgb[0] if len(srgb) == 1 else None,
        gamma=exponent if exponent > 0 else None,
        chromaticities=tuple(each / _GAMMA_SCALE for each in struct.unpack(">8I", chromaticities))
        if len(chromaticities) == 32
        else None,
        adobe_rgb=adobe_rgb and not found,
    )


def _is_adobe_rgb(exif: _Exif) -> bool:
    try:
        return exif.get_ifd(IFD.Exif).get(Base.ColorSpace) != 1 and exif.get_ifd(IFD.Interop).get(
            _INTEROPERABILITY_INDEX
        ) in {"R03", b"R03", b"R03\0"}
    except Exception:
        return False
