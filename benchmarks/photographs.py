"""The photograph that the stack is measured with."""

import io
from importlib.resources import files

from PIL import Image


def square_jpeg() -> bytes:
    """A photograph in the public domain: 512×512 pixels, JPEG, quality 88, 61 kB."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as picture:
        picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
