"""Whether strict readers call a file damaged: what is left of such a file is shown in different ways."""

from io import BytesIO

import pyvips
from PIL import Image

_OWN_READERS = {"png", "gif", "bmp", "tiff", "heif"}
"""Of these formats the engine does not ask Pillow, which therefore is a witness."""


def says_damaged(data: bytes, kind: str) -> str:
    """Return what libvips, failing on any warning, or Pillow reports of a damaged file; empty for a sound one."""
    try:
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning")
        image.avg()
    except pyvips.Error as error:
        message = " ".join(str(error).split())
        if "not in a known format" not in message:
            return f"libvips: {message[:120]}"
    if kind == "avif" and data.count(b"ipma") > 1:
        return "two boxes ipma of one kind, which ISO/IEC 23008-12 forbids and libavif refuses"
    if kind in _OWN_READERS:
        try:
            with Image.open(BytesIO(data)) as opened:
                for index in range(getattr(opened, "n_frames", 1)):
                    opened.seek(index)
                    opened.load()
        except Exception as error:
            return f"Pillow: {error!r:.120}"
    return ""
