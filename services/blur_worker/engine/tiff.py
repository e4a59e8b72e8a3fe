"""Writes TIFF pages: with colours of 16 bits, which Pillow cannot, or deflated, which takes libtiff thrice as long."""

import itertools
import struct
from io import BytesIO

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from services.blur_worker.engine.deflate import stream_for
from services.blur_worker.engine.raster import Raster, Samples

_HEADER = b"II*\0\0\0\0\0"
_NEXT_DIRECTORY = 4  # where a header has its place
_NONE, _DEFLATE = 1, 8
_NO_PREDICTION, _HORIZONTAL = 1, 2
_PHOTOMETRIC = {"L": 1, "LA": 1, "RGB": 2, "RGBA": 2, "CMYK": 5}
_CONTIGUOUS, _UNASSOCIATED_ALPHA, _INCH = 1, 2, 2
_STRIP_BYTES = 1 << 18


def encode_tiff(
    pages: list[Raster], dpi: tuple[float, float] | None, icc: bytes | None, exif: Image.Exif | None, *, packed: bool
) -> bytes:
    """Encodes pages: deflated after taking from each sample the one before it, or plain; `exif` goes to the first."""
    out = BytesIO()
    out.write(_HEADER)
    link = _NEXT_DIRECTORY
    for number, raster in enumerate(pages):
        rows = max(1, _STRIP_BYTES // raster.samples[0].nbytes)
        strips = _strips(raster, rows, packed=packed)
        tags = _tags(raster, packed=packed)
        tags[TiffImagePlugin.ROWSPERSTRIP] = rows
        tags[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(map(len, strips))
        # From the directory's end: that is how Pillow takes them.
        tags[TiffImagePlugin.STRIPOFFSETS] = tuple(itertools.accumulate(map(len, strips[:-1]), initial=0))
        if dpi:
            tags[TiffImagePlugin.RESOLUTION_UNIT] = _INCH
            tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = map(IFDRational, dpi)
        if icc:
            tags[TiffImagePlugin.ICCPROFILE] = icc
        for tag, value in exif.items() if exif is not None and number == 0 else ():
            tags[tag] = value
        out.write(bytes(out.tell() % 2))
        start = out.tell()
        directory = tags.tobytes(start)
        out.write(directory)
        out.writelines(strips)
        out.seek(link)
        out.write(struct.pack("<I", start))
        out.seek(0, 2)
        entries = int.from_bytes(directory[:2], "little")
        link = start + 2 + 12 * entries
    return out.getvalue()


def _strips(raster: Raster, rows: int, *, packed: bool) -> list[bytes]:
    strips = []
    for top in range(0, raster.size[1], rows):
        strip = raster.samples[top : top + rows]
        if packed:
            strip = np.concatenate([strip[:, :1], strip[:, 1:] - strip[:, :-1]], axis=1)
        content = np.ascontiguousarray(strip, strip.dtype.newbyteorder("<"))
        strips.append(_deflated(content) if packed else content.tobytes())
    return strips


def _deflated(content: Samples) -> bytes:
    stream = stream_for(content.itemsize)
    return stream.compress(content.data) + stream.flush()


def _tags(raster: Raster, *, packed: bool) -> ImageFileDirectory_v2:
    width, height = raster.size
    channels = raster.samples.shape[2]
    tags = ImageFileDirectory_v2(_HEADER)
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (8 * raster.samples.itemsize,) * channels
    tags[TiffImagePlugin.COMPRESSION] = _DEFLATE if packed else _NONE
    tags[TiffImagePlugin.PREDICTOR] = _HORIZONTAL if packed else _NO_PREDICTION
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = _PHOTOMETRIC[raster.mode]
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = _CONTIGUOUS
    if raster.has_alpha:
        tags[TiffImagePlugin.EXTRASAMPLES] = _UNASSOCIATED_ALPHA
    return tags
