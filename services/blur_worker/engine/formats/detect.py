"""Detect a file's format by its first bytes, and name what is not supported."""

import codecs
import re
from collections.abc import Iterable

from services.blur_worker.engine.formats.codec import Codec
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format

_HEAD_BYTES = 4096
_UNSUPPORTED = (
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
"""Signatures of known image formats without a codec."""
_NETPBM = re.compile(rb"P[1-7]\s+(#[^\n]*\s+)*\d")
_SVG = re.compile(rb"\s*(\xef\xbb\xbf)?\s*(<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*<svg[\s>]", re.DOTALL)
_HTML = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)


def detect(data: bytes, supported: Iterable[Codec]) -> Format:
    """Return the format of a file; see `formats.detect_format`."""
    head = data[:_HEAD_BYTES]
    for codec in supported:
        if codec.detect(head):
            return codec.format
    if name := _unsupported_format(head):
        raise unsupported(name)
    raise ImageError(Reason.NOT_AN_IMAGE, _describe_other(head))


def unsupported(name: str) -> ImageError:
    """Return the error for a known image format without a codec."""
    names = ", ".join(name if name != "WEBP" else "WebP" for name in Format)
    return ImageError(Reason.UNSUPPORTED, f"Images of the kind {name} are not supported; {names} are")


def is_canon_raw(head: bytes) -> bool:
    """Whether a file is camera raw of Canon (CR2): a TIFF but for a signature of its own."""
    return head[:2] in {b"II", b"MM"} and head[8:10] == b"CR"


def iso_media_brands(head: bytes) -> set[bytes]:
    """Return the brands that an ISO base media file (AVIF, HEIC, MP4) is compatible with, empty for any other file."""
    if head[4:8] != b"ftyp":
        return set()
    box = head[8 : max(16, int.from_bytes(head[:4], "big"))]
    return {box[:4]} | {box[start : start + 4] for start in range(8, len(box) - 3, 4)}


def _unsupported_format(head: bytes) -> str | None:
    if is_canon_raw(head):
        return "camera raw (CR2)"
    if head[4:12] == b"ftypcrx ":
        return "camera raw (CR3)"
    if _NETPBM.match(head):
        return "Netpbm (PPM)"
    if _SVG.match(head):
        return "SVG"
    return next((name for signature, name in _UNSUPPORTED if head.startswith(signature)), None)


def _describe_other(head: bytes) -> str:
    if not head:
        return "The file is empty"
    if head[4:8] == b"ftyp":
        return "This is a video, not an image"
    if _HTML.match(head):
        return "This is a web page, not an image"
    return "This is a text file, not an image" if _is_text(head) else "This is not an image of any known kind"


def _is_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    # As a stream: the last character may be cut in the middle.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
