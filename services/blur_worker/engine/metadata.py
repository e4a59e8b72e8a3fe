"""The metadata of a file: what the result keeps. None of it may show the original: no previews, no embedded images."""

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

_MAX_FIELD_BYTES = 8192
"""A longer binary field is a preview or padding, whatever its name."""
_KEPT_TAGS = frozenset({
    Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer,
    Base.Copyright, Base.Rating, Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject,
})  # fmt: skip
_DROPPED_EXIF_TAGS = frozenset(
    {Base.MakerNote, Base.ExifInteroperabilityOffset, Base.ExifImageWidth, Base.ExifImageHeight}
)
KEPT_IFDS = {IFD.Exif: _DROPPED_EXIF_TAGS, IFD.GPSInfo: frozenset[int]()}
"""The directories of EXIF that are kept, each with the tags that are not."""
_EMPTY_EXIF_BYTES = 6 + 8 + 6
_MIN_ICC_PROFILE_BYTES = 128  # its header
_ICC_MODES = {b"GRAY": {"L", "LA", "I;16"}, b"RGB ": {"RGB", "RGBA", "YCbCr"}, b"CMYK": {"CMYK"}}
"""By the colour space that a profile describes (ICC.1, section 7.2.6)."""
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    struct.error,
)
"""What Pillow raises for damaged EXIF, which is frequent, and says nothing about the pixels."""
_EMBEDDED_IMAGES = (b"thumbnail", b"gimage", b"gdepth", b"gcontainer", b"/9j/", b"ivborw0kggo")
"""Signs of an embedded image in XMP or text, in lower case: names of tags, and how JPEG and PNG begin in base64."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the result keeps of the original's metadata."""

    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution."""
    exif: Image.Exif | None = None
    """Without orientation, thumbnail and maker note."""
    xmp: bytes | None = None
    comment: bytes | None = None
    """Of a JPEG or a GIF."""
    text: dict[str, str] = field(default_factory=dict)
    """Of a PNG, by keyword."""


def read_metadata(image: Image.Image, *, keep: bool) -> Metadata:
    """Return the metadata of an opened and loaded file; without `keep` only the ICC profile and the resolution."""
    icc_profile = image.info.get("icc_profile")
    if not isinstance(icc_profile, bytes) or len(icc_profile) < _MIN_ICC_PROFILE_BYTES:
        icc_profile = None
    dpi = _dpi(image.info.get("dpi"))
    if not keep:
        return Metadata(icc_profile=icc_profile, dpi=dpi)
    comment = image.info.get("comment")
    text = {keyword: str(value) for keyword, value in getattr(image, "text", {}).items()}
    return Metadata(
        icc_profile=icc_profile,
        dpi=dpi,
        exif=_kept_exif(_exif(image)),
        xmp=_kept_xmp(image.info.get("xmp")),
        comment=comment if isinstance(comment, bytes) and len(comment) <= _MAX_FIELD_BYTES else None,
        text={keyword: value for keyword, value in text.items() if _is_plain_text(keyword, value)},
    )


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none. XMP's is ignored, as by browsers."""
    value = _exif(image).get(Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def icc_profile_for(icc_profile: bytes | None, mode: str) -> bytes | None:
    """Return the profile if it describes the colours of a raster of this mode."""
    if icc_profile is None:
        return None
    return icc_profile if mode in _ICC_MODES.get(icc_profile[16:20], set()) else None


def _exif(image: Image.Image) -> Image.Exif:
    if image.format == "TIFF":
        return image.getexif()
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
    except _DAMAGE:
        return Image.Exif()
    return exif


def _kept_exif(exif: Image.Exif) -> Image.Exif | None:
    kept = Image.Exif()
    try:
        for tag, value in exif.items():
            if tag in _KEPT_TAGS and _is_short(value):
                kept[tag] = value
        for ifd, dropped in KEPT_IFDS.items():
            values = {tag: value for tag, value in exif.get_ifd(ifd).items() if tag not in dropped and _is_short(value)}
            if values:
                kept.get_ifd(ifd).update(values)
        return kept if len(kept.tobytes()) > _EMPTY_EXIF_BYTES else None
    except _DAMAGE:
        return None


def _is_short(value: Any) -> bool:
    return not isinstance(value, bytes | str | tuple) or len(value) <= _MAX_FIELD_BYTES


def _kept_xmp(xmp: object) -> bytes | None:
    if not isinstance(xmp, bytes) or any(sign in xmp.lower() for sign in _EMBEDDED_IMAGES):
        return None
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>))\d', rb"\g<1>1", xmp)


def _is_plain_text(keyword: str, value: str) -> bool:
    if keyword.lower().startswith(("raw profile", "xml:", "exif")):
        return False
    return len(value) <= _MAX_FIELD_BYTES and not any(sign.decode() in value.lower() for sign in _EMBEDDED_IMAGES)


def _dpi(value: object) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # NaN fails both comparisons; JPEG and BMP have no room for more.
    return (x, y) if 1 <= x <= 65535 and 1 <= y <= 65535 else None
