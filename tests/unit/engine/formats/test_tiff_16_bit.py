"""TIFF pages with 16-bit colours, written and read by another library."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.ExifTags import IFD

from services.blur_worker.engine.formats.tiff_writer import write_tiff
from services.blur_worker.engine.raster import Raster, Samples
from services.common.domain.spec import Format, Gaussian, Solid
from tests.support.images import opened, photo_16, samples
from tests.unit.engine.formats.png_maker import make_png
from tests.unit.engine.running import LEFT_HALF, run


def deep_photo(channels: int, width: int = 60, height: int = 43) -> Samples:
    grey = samples(photo_16(width, height)).astype(np.uint16)
    return np.stack([np.roll(grey, channel, axis=0) for channel in range(channels)], axis=2)


def tiff(*pages: Samples, **options: Any) -> bytes:
    out = BytesIO()
    with tifffile.TiffWriter(out, byteorder=options.pop("byteorder", "<")) as writer:
        for page in pages:
            extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if page.shape[2] == 4 else {}
            writer.write(page, photometric="rgb", **extra, **options)
    return out.getvalue()


def pages_of(data: bytes) -> list[Samples]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        return [page.asarray() for page in file.pages]


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 7}, {"tile": (32, 32)}, {"compression": "zlib"}], ids=str)
def test_colours_keep_16_bits(channels: int, byteorder: str, layout: dict[str, object]) -> None:
    before = deep_photo(channels)
    result = run(tiff(before, byteorder=byteorder, **layout), Gaussian(3), LEFT_HALF)
    (after,) = pages_of(result.data)
    assert after.dtype == np.uint16
    assert (after[:, 30:] == before[:, 30:]).all()
    assert (after[:, :30] != before[:, :30]).mean() > 0.5
    assert opened(result.data).info["compression"] == ("tiff_adobe_deflate" if layout.get("compression") else "raw")
    assert np.abs(samples(opened(result.data))[:, 30:] - (before[:, 30:] >> 8)).max() <= 1


def test_every_page_keeps_its_depth() -> None:
    eight_bit = (deep_photo(3, 40, 30) >> 8).astype(np.uint8)
    pages = pages_of(run(tiff(deep_photo(3), eight_bit, deep_photo(4)), Gaussian(2), LEFT_HALF).data)
    assert [page.shape for page in pages] == [(43, 60, 3), (30, 40, 3), (43, 60, 4)]
    assert [page.dtype for page in pages] == [np.uint16, np.uint8, np.uint16]
    assert (pages[1][:, 20:] == eight_bit[:, 20:]).all()


def test_resolution_is_kept_and_text_on_request() -> None:
    data = tiff(deep_photo(3), resolution=(300, 300), resolutionunit=2, description="A photograph", software="Camera 7")
    plain, kept = (run(data, Solid(), keep_metadata=keep).data for keep in (False, True))
    for result in (plain, kept):
        assert opened(result).info["dpi"] == (300, 300)
    assert b"photograph" not in plain
    assert opened(kept).tag_v2[270] == "A photograph"


def test_a_compressed_page_keeps_its_exif_directory() -> None:
    exif = Image.Exif()
    exif[270] = "A photograph"
    exif[IFD.Exif] = {0x920A: 50.0}
    data = write_tiff([Raster("RGB", deep_photo(3))], first_page_exif=exif, deflate=True)
    kept = opened(data).getexif()
    assert kept[270] == "A photograph"
    assert kept.get_ifd(IFD.Exif)[0x920A] == 50


@pytest.mark.parametrize("compression", ["zlib", "lzma", None])
def test_separate_planes_keep_16_bits(compression: str | None) -> None:
    before = deep_photo(3)
    out = BytesIO()
    planes = np.moveaxis(before, 2, 0)
    tifffile.imwrite(out, planes, photometric="rgb", planarconfig="separate", compression=compression)
    (after,) = pages_of(run(out.getvalue(), Gaussian(2), LEFT_HALF).data)
    assert (after[:, 30:] == before[:, 30:]).all()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_16_bit_png_becomes_a_16_bit_tiff(channels: int) -> None:
    before = deep_photo(channels)
    (after,) = pages_of(run(make_png(before, (4,)), Gaussian(2), LEFT_HALF, output_format=Format.TIFF).data)
    assert after.dtype == np.uint16
    assert (after[:, 30:, -1] == before[:, 30:, -1]).all()
    assert (after[:, 30:, 0] == before[:, 30:, 0]).all()
