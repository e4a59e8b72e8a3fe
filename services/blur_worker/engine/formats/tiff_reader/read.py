"""Decode a TIFF: each page here, or by Pillow if that does it well."""

from io import BytesIO

from PIL.TiffImagePlugin import COMPRESSION_INFO, TiffImageFile

from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.formats.tiff_reader.directory import Directory, Tag, read_directories
from services.blur_worker.engine.formats.tiff_reader.layout import layout_of
from services.blur_worker.engine.formats.tiff_reader.page import read_page
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.pixel_modes import to_working_mode
from services.blur_worker.engine.raster import Raster

_LZW, _BITS = 5, 8
_CENTIMETER, _INCH = 3, 2
_CENTIMETERS_PER_INCH = 2.54


def read_tiff(data: bytes, request: ReadRequest) -> ReadFile:
    """Decode a file.

    Raises:
        ImageError: TOO_LARGE, UNSUPPORTED or CORRUPT.
        Exception: Of nearly any kind: the file is damaged.
    """
    pages = read_directories(data, request.limits)
    if Tag.DNG_VERSION in pages[0].tags:
        raise unsupported("camera raw (DNG)")  # its first page is only a preview of the photograph
    wanted = pages if request.all_frames else pages[:1]
    frames = []
    for index, page in enumerate(wanted):
        layout = layout_of(page)
        if layout and layout.compression == _LZW and _is_old_lzw(data, page):
            if layout.bits != _BITS or layout.separate:
                raise unsupported(f"TIFF compressed by LZW of the old kind, with {layout.bits} bits per sample")
            layout = None
        frames.append(Frame(read_page(data, page, layout) if layout else _by_pillow(data, index)))
    return ReadFile(frames=frames, described=_described(data, pages[0]), oriented=True)


def _is_old_lzw(data: bytes, page: Directory) -> bool:
    """Whether codes have their lowest bits first, as before TIFF 5.0; libtiff knows them by their first one."""
    offsets = page.numbers(Tag.TILE_OFFSETS if page.tile else Tag.STRIP_OFFSETS)
    start = data[offsets[0] : offsets[0] + 2] if offsets else b""
    return len(start) == 2 and start[0] == 0 and bool(start[1] & 1)


def _by_pillow(data: bytes, index: int) -> Raster:
    with TiffImageFile(BytesIO(data)) as image:
        image.seek(index)
        image.load()
        return to_working_mode(image)


def _described(data: bytes, page: Directory) -> MetadataSource:
    described = MetadataSource(format="TIFF")
    info = described.info
    info["exif"] = data
    info["compression"] = COMPRESSION_INFO.get(page.number(Tag.COMPRESSION, 1), "")
    resolution = page.fractions(Tag.X_RESOLUTION)[:1] + page.fractions(Tag.Y_RESOLUTION)[:1]
    unit = page.number(Tag.RESOLUTION_UNIT, _INCH)
    if len(resolution) == 2 and unit in {_INCH, _CENTIMETER}:
        per_unit = _CENTIMETERS_PER_INCH if unit == _CENTIMETER else 1
        info["dpi"] = tuple(value * per_unit for value in resolution)
    if icc_profile := page.raw(Tag.ICC_PROFILE):
        info["icc_profile"] = icc_profile
    if xmp := page.raw(Tag.XMP):
        info["xmp"] = xmp
    return described
