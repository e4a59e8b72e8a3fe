"""What a file is, by its first bytes; never by its name."""

import codecs
import re

from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

_ENABLED = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
)
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
"""Sizes of the second header: a sentence may begin with BM too."""
# Kinds of pictures that are known and not enabled, by how they begin.
_OTHERS = (
    (b"%!PS", "EPS or PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\x01\0", "Windows icon (ICO)"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"FLIF", "FLIF"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"FUJIFILMCCD-RAW", "camera raw (RAF)"),
    (b"IIU\0", "camera raw (RW2)"),
    (b"IIRO", "camera raw (ORF)"),
    (b"\x8aMNG", "MNG"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile (WMF)"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_NETPBM = re.compile(rb"P[1-7]\s+(#[^\n]*\s+)*\d")
_SVG = re.compile(rb"\s*(\xef\xbb\xbf)?\s*(<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*<svg[\s>]", re.DOTALL)


def sniff(data: bytes) -> Format:
    """Gives the format of a file.

    Raises:
        ImageError: NOT_AN_IMAGE, or UNSUPPORTED naming the kind, where it is recognised.
    """
    head = data[:4096]
    if head[:2] in {b"II", b"MM"} and head[8:10] == b"CR":
        raise unsupported("camera raw (CR2)")
    for magic, format_ in _ENABLED:
        if head.startswith(magic):
            return format_
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format.BMP
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp":
        return _sniff_iso_media(head)
    if kind := _kind_not_enabled(head):
        raise unsupported(kind)
    raise ImageError(Reason.NOT_AN_IMAGE, _what_instead(head))


def _sniff_iso_media(head: bytes) -> Format:
    """AVIF, HEIC and MP4 are the same container; its first box lists what it is compatible with."""
    box = head[8 : max(16, int.from_bytes(head[:4], "big"))]
    brands = {box[:4]} | {box[start : start + 4] for start in range(8, len(box) - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return Format.AVIF
    if brands & _HEIF_BRANDS:
        raise unsupported("HEIC")
    if box[:4] == b"crx ":
        raise unsupported("camera raw (CR3)")
    raise ImageError(Reason.NOT_AN_IMAGE, "This is a video, not an image")


def _kind_not_enabled(head: bytes) -> str | None:
    if _NETPBM.match(head):
        return "Netpbm (PPM)"
    if _SVG.match(head):
        return "SVG"
    return next((kind for magic, kind in _OTHERS if head.startswith(magic)), None)


def unsupported(kind: str) -> ImageError:
    """The error for a kind of picture that is known and not enabled."""
    names = ", ".join(name if name != "WEBP" else "WebP" for name in Format)
    return ImageError(Reason.UNSUPPORTED, f"Images of the kind {kind} are not supported; {names} are")


def _what_instead(head: bytes) -> str:
    if not head:
        return "The file is empty"
    if re.match(rb"\s*<(!doctype\s+html|html)", head, re.IGNORECASE):
        return "This is a web page, not an image"
    return "This is a text file, not an image" if _is_text(head) else "This is not an image of any known kind"


def _is_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    # As a stream, because the last character may be cut in the middle.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
