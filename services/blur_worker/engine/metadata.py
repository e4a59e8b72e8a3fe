"""What a file says beside its pixels: what is kept, and that none of it shows the unblurred picture."""

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
_IFDS = {IFD.Exif: _DROPPED_EXIF_TAGS, IFD.GPSInfo: frozenset[int]()}
_XMP_TAG = 700
_EMPTY_EXIF_BYTES = 6 + 8 + 6
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
"""Much EXIF in the wild is damaged; the picture beside it is not."""
_PICTURES = (b"thumbnail", b"gimage", b"gdepth", b"gcontainer", b"/9j/", b"ivborw0kggo")
"""In XMP or text, small letters: names of embedded pictures, and how a JPEG or a PNG begins in base64."""


@dataclass(frozen=True)
class Metadata:
    """What goes from a file into its result."""

    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: Image.Exif | None = None
    """Without orientation, thumbnail and maker's note."""
    xmp: bytes | None = None
    comment: bytes | None = None
    """Of a JPEG or a GIF."""
    text: dict[str, str] = field(default_factory=dict)
    """Of a PNG."""


def read_metadata(image: Image.Image, *, keep: bool) -> Metadata:
    """Gives what an opened and loaded file says; without `keep` only its ICC profile and resolution."""
    icc = image.info.get("icc_profile")
    icc = icc if isinstance(icc, bytes) and len(icc) >= 128 else None
    dpi = _dpi(image.info.get("dpi"))
    if not keep:
        return Metadata(icc, dpi)
    exif = _kept_exif(_exif(image))
    comment = image.info.get("comment")
    comment = comment if isinstance(comment, bytes) and len(comment) <= _MAX_FIELD_BYTES else None
    text = {name: str(value) for name, value in getattr(image, "text", {}).items() if _is_plain(name, str(value))}
    return Metadata(icc, dpi, exif, _kept_xmp(image.info.get("xmp")), comment, text)


def read_orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none. XMP's is ignored, as by browsers."""
    value = _exif(image).get(Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_for_tiff(exif: Image.Exif | None, xmp: bytes | None, pages: int) -> Image.Exif | None:
    """EXIF as Pillow's TIFF writer takes it: XMP is a tag, further directories fit into a single page only."""
    result = Image.Exif()
    if exif is not None:
        for tag, value in exif.items():
            result[tag] = value
        for ifd in _IFDS if pages == 1 else ():
            if values := exif.get_ifd(ifd):
                result.get_ifd(ifd).update(values)
                result[ifd] = values
    if xmp:
        result[_XMP_TAG] = xmp
    return result if len(result) else None


def icc_for(profile: bytes | None, mode: str) -> bytes | None:
    """The profile, if it speaks of the colours that an image of this mode has."""
    if profile is None:
        return None
    space = {b"GRAY": {"L", "LA", "I;16"}, b"RGB ": {"RGB", "RGBA", "YCbCr"}, b"CMYK": {"CMYK"}}.get(
        profile[16:20], set()
    )
    return profile if mode in space else None


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
            if tag in _KEPT_TAGS and _is_small(value):
                kept[tag] = value
        for ifd, dropped in _IFDS.items():
            values = {tag: value for tag, value in exif.get_ifd(ifd).items() if tag not in dropped and _is_small(value)}
            if values:
                kept.get_ifd(ifd).update(values)
        return kept if len(kept.tobytes()) > _EMPTY_EXIF_BYTES else None
    except _DAMAGE:
        return None


def _is_small(value: Any) -> bool:
    return not isinstance(value, bytes | str | tuple) or len(value) <= _MAX_FIELD_BYTES


def _kept_xmp(xmp: object) -> bytes | None:
    if not isinstance(xmp, bytes) or any(sign in xmp.lower() for sign in _PICTURES):
        return None
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>))\d', rb"\g<1>1", xmp)


def _is_plain(name: str, value: str) -> bool:
    if name.lower().startswith(("raw profile", "xml:", "exif")):
        return False
    return len(value) <= _MAX_FIELD_BYTES and not any(sign.decode() in value.lower() for sign in _PICTURES)


def _dpi(value: object) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # NaN fails both comparisons; JPEG and BMP have no room for more.
    return (x, y) if 1 <= x <= 65535 and 1 <= y <= 65535 else None
