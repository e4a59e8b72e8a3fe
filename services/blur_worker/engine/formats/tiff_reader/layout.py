"""How the samples of a page are stored, and whether they can be decoded here."""

from dataclasses import dataclass
from enum import IntEnum

from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.formats.tiff_reader.decompress import SUPPORTED
from services.blur_worker.engine.formats.tiff_reader.directory import Directory, Tag

_MAX_BITS, _CONTIGUOUS, _SEPARATE, _NO_PREDICTION, _DIFFERENCING = 16, 1, 2, 1, 2
_UNSIGNED, _UNDEFINED = 1, 4
_FORMATS = {2: "signed samples", 3: "floating-point samples", 5: "complex samples", 6: "complex samples"}
_KINDS = {8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "unprocessed samples of a sensor",
          34892: "unprocessed samples of a sensor", 32844: "LogL", 32845: "LogLuv"}  # fmt: skip
_COMPRESSIONS = {6: "JPEG of the old kind", 7: "JPEG", 50000: "Zstandard", 50001: "WebP", 34712: "JPEG 2000",
                 34887: "LERC", 50002: "JPEG XL", 52546: "JPEG XL", 34676: "SGILog", 32809: "ThunderScan",
                 32766: "NeXT", 34661: "JBIG", 34892: "lossy JPEG"}  # fmt: skip
_FACSIMILE = {2, 3, 4, 32771}
_OF_PILLOW = _FACSIMILE | {6, 7, 50000}
"""Compressions that Pillow decodes; of JPEG only 8 bits."""
UNASSOCIATED, ASSOCIATED = 2, 1


class Photometric(IntEnum):
    """What samples mean (PhotometricInterpretation)."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    MASK = 4
    CMYK = 5
    YCBCR = 6


_CHANNELS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The samples of a page."""

    photometric: Photometric
    colors: int
    """Samples of a pixel that are colour; `samples` are all of them."""
    samples: int
    bits: int
    """Bits of each sample."""
    separate: bool
    """Whether each sample has a plane of its own."""
    compression: int
    differencing: bool
    subsampling: tuple[int, int]
    """Pixels across and down for which there is one pair of chroma samples, of YCbCr."""
    extra: int
    """What the first sample beyond the colours is: 0 for nothing that is known, 1 for associated alpha, 2 for alpha."""


def layout_of(page: Directory) -> Layout | None:
    """Return the layout of a page that is to be decoded here; None if it is one that Pillow decodes well.

    Raises:
        ImageError: UNSUPPORTED, naming what is.
        ValueError: The page is damaged.
    """
    compression = page.number(Tag.COMPRESSION, 1)
    photometric = page.number(Tag.PHOTOMETRIC, 1)
    samples = page.number(Tag.SAMPLES_PER_PIXEL, 1)
    bits = page.numbers(Tag.BITS_PER_SAMPLE) or (1,)
    formats = set(page.numbers(Tag.SAMPLE_FORMAT)) - {_UNSIGNED, _UNDEFINED}
    if photometric in _KINDS:
        raise unsupported(f"TIFF with {_KINDS[photometric]}")
    if formats:
        raise unsupported(f"TIFF with {_FORMATS.get(min(formats), 'samples of an unknown kind')}")
    if photometric not in _CHANNELS or samples < _CHANNELS[photometric]:
        raise ValueError("fewer samples than colours")
    if len(set(bits)) > 1 or not 1 <= bits[0] <= _MAX_BITS:
        raise unsupported(f"TIFF with {', '.join(map(str, bits[:8]))} bits per sample")
    layout = Layout(
        photometric=Photometric(photometric),
        colors=_CHANNELS[photometric],
        samples=samples,
        bits=bits[0],
        separate=page.number(Tag.PLANAR_CONFIGURATION, _CONTIGUOUS) == _SEPARATE and samples > 1,
        compression=compression,
        differencing=page.number(Tag.PREDICTOR, _NO_PREDICTION) == _DIFFERENCING,
        subsampling=_subsampling(page, photometric),
        extra=_extra(page, samples - _CHANNELS[photometric]),
    )
    if compression in SUPPORTED:
        return _checked(layout, page)
    if compression not in _OF_PILLOW or (bits[0] > 8 and compression not in _FACSIMILE):
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        raise unsupported(f"TIFF compressed by {name}, with {bits[0]} bits per sample")
    if layout.separate and compression not in {7} | _FACSIMILE:
        raise unsupported(f"TIFF compressed by {_COMPRESSIONS.get(compression, compression)}, in separate planes")
    return None


def _subsampling(page: Directory, photometric: int) -> tuple[int, int]:
    if photometric != Photometric.YCBCR:
        return 1, 1
    found = page.numbers(Tag.YCBCR_SUBSAMPLING)
    return (found[0], found[1]) if len(found) == 2 else (2, 2)


def _extra(page: Directory, count: int) -> int:
    if count < 1:
        return 0
    found = page.numbers(Tag.EXTRA_SAMPLES)
    return found[0] if found else UNASSOCIATED


def _checked(layout: Layout, page: Directory) -> Layout:
    bits = layout.bits
    if page.number(Tag.PREDICTOR, _NO_PREDICTION) > _DIFFERENCING or (layout.differencing and bits not in {8, 16}):
        raise unsupported(f"TIFF with a predictor for {bits} bits per sample")
    if layout.photometric == Photometric.PALETTE and (bits > 8 or layout.samples > 1):
        raise unsupported(f"TIFF with a palette and {layout.samples} samples of {bits} bits")
    if layout.photometric == Photometric.YCBCR:
        across, down = layout.subsampling
        if bits != 8 or layout.samples != 3 or across not in {1, 2, 4} or down not in {1, 2, 4}:
            raise unsupported(f"TIFF with YCbCr of {bits} bits, subsampled {across} × {down}")
        if layout.separate and layout.subsampling != (1, 1):
            raise unsupported("TIFF with subsampled YCbCr in separate planes")
    return layout
