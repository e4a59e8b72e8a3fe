"""TIFF, with all its pages."""

from typing import Any

from PIL import Image, ImageFile
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import PREDICTOR, TiffImageFile

from services.blur_worker.engine.color import icc_profile_for
from services.blur_worker.engine.formats.codec import Codec, FrameKind, FramesToEncode, starts_with
from services.blur_worker.engine.formats.detect import is_canon_raw
from services.blur_worker.engine.formats.pillow_save import save
from services.blur_worker.engine.formats.tiff_reader.read import read_tiff
from services.blur_worker.engine.formats.tiff_writer import write_tiff
from services.blur_worker.engine.images import SourceEncoding
from services.blur_worker.engine.metadata import KEPT_IFDS, Metadata
from services.blur_worker.engine.metadata_source import MetadataSource
from services.common.domain.spec import Format

_XMP_TAG = 700
_HORIZONTAL_DIFFERENCING = 2
"""Number of this predictor (TIFF 6.0, section 14). LZW takes 41 ms for 0.9 MB with it, 59 ms for 4 MB without."""
_DEFLATE = {"tiff_deflate", "tiff_adobe_deflate"}
_is_tiff = starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _detect(head: bytes) -> bool:
    return _is_tiff(head) and not is_canon_raw(head)


def _read_encoding(image: ImageFile.ImageFile | MetadataSource, _data: bytes) -> SourceEncoding:
    return SourceEncoding(compression=str(image.info.get("compression", "")))


def _encode(frames: FramesToEncode) -> bytes:
    rasters, metadata, compression = frames.rasters, frames.info.metadata, frames.info.encoding.compression
    icc_profile = icc_profile_for(metadata.color, rasters[0].mode)
    exif = _exif(metadata, pages=len(rasters))
    if compression in _DEFLATE or any(raster.is_16_bit and raster.mode != "L" for raster in rasters):
        return write_tiff(
            rasters, dpi=metadata.dpi, icc_profile=icc_profile, first_page_exif=exif, deflate=compression != "raw"
        )
    if exif is not None and (IFD.Exif in exif or IFD.GPSInfo in exif):
        compression = "raw"  # libtiff writes no further directories
    elif compression not in {"raw", "packbits"}:
        compression = "tiff_lzw"
        exif = exif or Image.Exif()
        exif[PREDICTOR] = _HORIZONTAL_DIFFERENCING
    options: dict[str, Any] = {"dpi": metadata.dpi, "icc_profile": icc_profile, "exif": exif}
    given = {name: value for name, value in options.items() if value}
    return save(rasters, Format.TIFF, compression=compression, **given)


def _exif(metadata: Metadata, pages: int) -> Image.Exif | None:
    """Return EXIF as Pillow's TIFF writer takes it: XMP is a tag, further directories fit into a single page only."""
    exif = Image.Exif()
    if metadata.exif is not None:
        for tag, value in metadata.exif.items():
            exif[tag] = value
        for ifd in KEPT_IFDS if pages == 1 else ():
            if values := metadata.exif.get_ifd(ifd):
                exif.get_ifd(ifd).update(values)
                exif[ifd] = values
    if metadata.xmp:
        exif[_XMP_TAG] = metadata.xmp
    return exif if len(exif) else None


CODEC = Codec(
    format=Format.TIFF,
    detect=_detect,
    pillow_class=TiffImageFile,
    encode=_encode,
    modes=frozenset({"L", "LA", "RGB", "RGBA", "CMYK"}),
    holds_16_bit=True,
    frames=FrameKind.PAGES,
    read=read_tiff,
    read_encoding=_read_encoding,
)
