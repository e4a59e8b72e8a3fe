"""Whether a field of metadata may hold a picture: a preview would show what the blur hides."""

import re
from typing import Any

from PIL.ExifTags import Base

_MAX_TEXT_BYTES = 8192
_MAX_NUMBERS = 64
"""Most bytes of a binary field, or items of a list, without a picture; smaller pictures have a known signature."""
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|GIF8[79]a|II\*\0|MM\0\*|II\+\0|MM\0\+|ftyp(avi|hei|hev|mif|msf|jxl)"
    rb"|\xff\x0a|JXL \r\n|\xff\x4f\xff\x51|jP  \r\n|8BPS|qoif|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    re.DOTALL,
)
_ENCODED = re.compile(
    # In base64, also that for URLs: JPEG, PNG, RIFF, GIF8, TIFF, ftyp at its place.
    rb"[/_]9j[/_]|iVBORw0KGgo|UklGR|R0lGOD|SUkq[Ag]|TU0A[KA]|Z0eXB(hdm|oZW|taW|tc2|qeG)"
    # In hexadecimal digits, percent-encoded or with other signs between.
    rb"|(?i:ff\W{0,3}d8\W{0,3}ff\W{0,3}[c-f][0-9a-f]|89\W{0,3}50\W{0,3}4e\W{0,3}47"
    rb"|52\W{0,3}49\W{0,3}46\W{0,3}46\W{0,3}[0-9a-f]{2}|47\W{0,3}49\W{0,3}46\W{0,3}38)"
    rb"|data:image/|(?i:<[^>]{0,40}(preview|thumb)|\w:(preview|thumb)|gimage|gimg|gdepth|gcontainer"
    # A gain map or a video that the file no longer has.
    rb"|hdr-?gain-?map|motionphoto|microvideo|photos/1\.0/container)"
)
_LONG_CODE = re.compile(
    rb"[A-Za-z0-9+/=_%-]{400,}|(?:[A-Za-z0-9+/=_-]{60,}[\s\\]+){6,}|[!-uz]{1000,}"
    rb"|(?:[0-9A-Fa-f]{2}[^0-9A-Za-z]{0,3}){40,}|(?:\d{1,3}[\s,;]+){64,}"
)
"""No word of a language: longer than an address of the web or a checksum, many lines of such, or a list of bytes."""
_WHITE = re.compile(rb"\0|\\[nr]|&#(x[adAD]|1[03]|x?9|9);")
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]")
_UNICODE, _CHARSETS = b"UNICODE\0", (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8))
"""The first eight bytes of EXIF's UserComment and its like."""
_UTF_16_TAGS = frozenset({Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject})


def is_plain_text(text: bytes | str, max_bytes: int = _MAX_TEXT_BYTES) -> bool:
    """Return whether a text of any encoding is one, not too long, without a picture in any notation."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(raw) > max_bytes or _SIGNATURES.search(raw):
        return False
    if raw.startswith(_UNICODE):
        raw = _from_utf_16(raw[len(_UNICODE) :])
    for charset in _CHARSETS:
        raw = raw.removeprefix(charset)
    plain = _WHITE.sub(b"", raw)
    joined = re.sub(rb"\s+", b"", plain)
    return not (_CONTROL.search(plain) or _ENCODED.search(plain) or _ENCODED.search(joined) or _LONG_CODE.search(plain))


def holds_no_picture(value: Any, tag: int = 0) -> bool:
    """Return whether a field of EXIF, as Pillow reads it, is a text or a few numbers."""
    if tag in _UTF_16_TAGS and isinstance(value, bytes):
        return is_plain_text(_UNICODE + value)
    if isinstance(value, str):
        return is_plain_text(value)
    if isinstance(value, bytes):
        return is_plain_text(value) or (len(value) <= _MAX_NUMBERS and not _SIGNATURES.search(value))
    if isinstance(value, tuple | list):
        return len(value) <= _MAX_NUMBERS and all(holds_no_picture(each) for each in value if not _is_number(each))
    if isinstance(value, dict):
        return all(holds_no_picture(each) for each in value.values())
    return True


def _from_utf_16(raw: bytes) -> bytes:
    """As UTF-8; the byte order is that in which there are more characters of Latin."""
    order = "utf-16-be" if raw[::2].count(0) > raw[1::2].count(0) else "utf-16-le"
    return raw.decode(order, "replace").encode("utf-8", "replace")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
