"""The metadata of a file: what the result keeps. None of it may show the original: no previews, no embedded images."""

import re
import struct
from dataclasses import dataclass, field, replace

from PIL import Image
from PIL.ExifTags import IFD, Base

from services.blur_worker.engine.color import ColorDescription, color_description
from services.blur_worker.engine.embedded_pictures import holds_no_picture, is_plain_text
from services.blur_worker.engine.metadata_source import MetadataSource

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
"""What Pillow raises for damaged EXIF, which is frequent, and no sign of damaged pixels."""
_MAX_XMP_BYTES = 1 << 20
_UNCALIBRATED, _ADOBE_RGB = 0xFFFF, {1: "R03", 2: b"0100"}
"""The colour space and the interoperability directory of EXIF by which cameras declare Adobe RGB (DCF 2.0)."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the result keeps of the original's metadata."""

    color: ColorDescription = field(default_factory=ColorDescription)
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution."""
    exif: Image.Exif | None = None
    """Without orientation, thumbnail and maker note."""
    xmp: bytes | None = None
    comment: bytes | None = None
    """Comment of a JPEG or a GIF."""
    text: dict[str, str] = field(default_factory=dict)
    """Texts of a PNG, by keyword."""


def read_metadata(image: Image.Image | MetadataSource, data: bytes, *, keep: bool) -> Metadata:
    """Return the metadata of an opened and loaded file; without `keep` only its colours and the resolution."""
    exif = _exif(image)
    color = color_description(image, data, exif)
    dpi = _dpi(image.info.get("dpi"))
    if not keep:
        return Metadata(color=color, dpi=dpi, exif=_declaring_adobe_rgb(None) if color.adobe_rgb else None)
    comment = image.info.get("comment")
    text = {keyword: str(value) for keyword, value in getattr(image, "text", {}).items()}
    kept = _kept_exif(exif)
    return Metadata(
        color=color,
        dpi=dpi,
        exif=_declaring_adobe_rgb(kept) if color.adobe_rgb else kept,
        xmp=_kept_xmp(image.info.get("xmp")),
        comment=comment if isinstance(comment, bytes) and is_plain_text(comment) else None,
        text={keyword: value for keyword, value in text.items() if _is_kept_text(keyword, value)},
    )


def in_srgb(metadata: Metadata) -> Metadata:
    """Return the metadata of pixels that were converted to sRGB."""
    exif = metadata.exif
    if exif is not None and metadata.color.adobe_rgb:
        exif.get_ifd(IFD.Exif).pop(Base.ColorSpace, None)
        exif.get_ifd(IFD.Exif).pop(IFD.Interop, None)
        exif = exif if len(exif.tobytes()) > _EMPTY_EXIF_BYTES else None
    return replace(metadata, color=ColorDescription(), exif=exif)


def _declaring_adobe_rgb(exif: Image.Exif | None) -> Image.Exif:
    exif = exif or Image.Exif()
    exif.get_ifd(IFD.Exif).update({Base.ColorSpace: _UNCALIBRATED, IFD.Interop: _ADOBE_RGB})
    return exif


def _exif(image: Image.Image | MetadataSource) -> Image.Exif:
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
            if tag in _KEPT_TAGS and holds_no_picture(value, tag):
                kept[tag] = value
        for ifd, dropped in KEPT_IFDS.items():
            values = {
                tag: value
                for tag, value in exif.get_ifd(ifd).items()
                if tag not in dropped and holds_no_picture(value, tag)
            }
            if values:
                kept.get_ifd(ifd).update(values)
        return kept if len(kept.tobytes()) > _EMPTY_EXIF_BYTES else None
    except _DAMAGE:
        return None


def _kept_xmp(xmp: object) -> bytes | None:
    if not isinstance(xmp, bytes) or not is_plain_text(xmp, _MAX_XMP_BYTES):
        return None
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>))\d', rb"\g<1>1", xmp)


def _is_kept_text(keyword: str, value: str) -> bool:
    if keyword.lower().startswith(("raw profile", "xml:", "exif")):
        return False
    return is_plain_text(keyword) and is_plain_text(value)


def _dpi(value: object) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # NaN fails both comparisons; JPEG and BMP have no room for more.
    return (x, y) if 1 <= x <= 65535 and 1 <= y <= 65535 else None
