"""Write TIFF files of 16-bit colours, which Pillow cannot, or with Deflate, which takes libtiff three times as long.

Source: TIFF 6.0, sections 2 (structure), 8 (fields), 14 (differencing predictor), 18 (ExtraSamples).
"""

import itertools
import struct
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from services.blur_worker.engine.formats.deflate import compressor
from services.blur_worker.engine.raster import Raster, Samples

_HEADER = b"II*\0\0\0\0\0"
_FIRST_IFD_POINTER = 4  # offset in the header
_UNCOMPRESSED, _ADOBE_DEFLATE = 1, 8
_NO_PREDICTION, _HORIZONTAL_DIFFERENCING = 1, 2
_PHOTOMETRIC = {"L": 1, "LA": 1, "RGB": 2, "RGBA": 2, "CMYK": 5}
_CONTIGUOUS, _UNASSOCIATED_ALPHA, _INCH = 1, 2, 2
_STRIP_BYTES = 1 << 18


def write_tiff(
    pages: Sequence[Raster],
    *,
    dpi: tuple[float, float] | None = None,
    icc_profile: bytes | None = None,
    first_page_exif: Image.Exif | None = None,
    deflate: bool,
) -> bytes:
    """Return a little-endian TIFF file.

    Args:
        pages: Of any size, mode and depth.
        dpi: Horizontal and vertical resolution, for every page.
        icc_profile: For every page.
        first_page_exif: Tags for the first page.
        deflate: Whether to compress the pages, by Deflate over horizontal differences.
    """
    out = BytesIO()
    out.write(_HEADER)
    pointer = _FIRST_IFD_POINTER
    for number, raster in enumerate(pages):
        rows_per_strip = max(1, _STRIP_BYTES // raster.samples[0].nbytes)
        strips = _strips(raster, rows_per_strip, deflate=deflate)
        tags = _tags(raster, deflate=deflate)
        tags[TiffImagePlugin.ROWSPERSTRIP] = rows_per_strip
        tags[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(map(len, strips))
        # Counted from the directory's end: Pillow adds that when it writes the directory.
        tags[TiffImagePlugin.STRIPOFFSETS] = tuple(itertools.accumulate(map(len, strips[:-1]), initial=0))
        if dpi:
            tags[TiffImagePlugin.RESOLUTION_UNIT] = _INCH
            tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = map(IFDRational, dpi)
        if icc_profile:
            tags[TiffImagePlugin.ICCPROFILE] = icc_profile
        for tag, value in first_page_exif.items() if first_page_exif is not None and number == 0 else ():
            tags[tag] = value
        out.write(bytes(out.tell() % 2))
        start = out.tell()
        directory = tags.tobytes(start)
        out.write(directory)
        out.writelines(strips)
        out.seek(pointer)
        out.write(struct.pack("<I", start))
        out.seek(0, 2)
        entries = int.from_bytes(directory[:2], "little")
        pointer = start + 2 + 12 * entries
    return out.getvalue()


def _strips(raster: Raster, rows_per_strip: int, *, deflate: bool) -> list[bytes]:
    strips = []
    for top in range(0, raster.size[1], rows_per_strip):
        strip = raster.samples[top : top + rows_per_strip]
        if deflate:
            strip = np.concatenate([strip[:, :1], strip[:, 1:] - strip[:, :-1]], axis=1)
        little_endian = np.ascontiguousarray(strip, strip.dtype.newbyteorder("<"))
        strips.append(_compress(little_endian) if deflate else little_endian.tobytes())
    return strips


def _compress(differences: Samples) -> bytes:
    stream = compressor(differences.itemsize)
    return stream.compress(differences.data) + stream.flush()


def _tags(raster: Raster, *, deflate: bool) -> ImageFileDirectory_v2:
    width, height = raster.size
    channels = raster.samples.shape[2]
    tags = ImageFileDirectory_v2(_HEADER)
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (8 * raster.samples.itemsize,) * channels
    tags[TiffImagePlugin.COMPRESSION] = _ADOBE_DEFLATE if deflate else _UNCOMPRESSED
    tags[TiffImagePlugin.PREDICTOR] = _HORIZONTAL_DIFFERENCING if deflate else _NO_PREDICTION
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = _PHOTOMETRIC[raster.mode]
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = _CONTIGUOUS
    if raster.has_alpha:
        tags[TiffImagePlugin.EXTRASAMPLES] = _UNASSOCIATED_ALPHA
    return tags
