"""TIFF pages with colours of 16 bits: as others write them, in; as others read them, out."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.ExifTags import IFD

from services.blur_worker.engine.raster import Raster, Samples
from services.blur_worker.engine.tiff import encode_tiff
from services.common.domain.errors import ImageError
from services.common.domain.spec import Format, Gaussian, Solid
from tests.unit.engine.png_maker import make_png
from tests.unit.engine.samples import LEFT_HALF, opened, photo_16, run, samples


def fine(channels: int, width: int = 60, height: int = 43) -> Samples:
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
def test_colours_stay_deep(channels: int, byteorder: str, layout: dict[str, object]) -> None:
    before = fine(channels)
    result = run(tiff(before, byteorder=byteorder, **layout), Gaussian(3), LEFT_HALF)
    (after,) = pages_of(result.data)
    assert after.dtype == np.uint16
    assert (after[:, 30:] == before[:, 30:]).all()
    assert (after[:, :30] != before[:, :30]).mean() > 0.5
    assert opened(result.data).info["compression"] == ("tiff_adobe_deflate" if layout.get("compression") else "raw")
    assert np.abs(samples(opened(result.data))[:, 30:] - (before[:, 30:] >> 8)).max() <= 1


def test_every_page_is_kept_shallow_ones_too() -> None:
    shallow = (fine(3, 40, 30) >> 8).astype(np.uint8)
    pages = pages_of(run(tiff(fine(3), shallow, fine(4)), Gaussian(2), LEFT_HALF).data)
    assert [page.shape for page in pages] == [(43, 60, 3), (30, 40, 3), (43, 60, 4)]
    assert [page.dtype for page in pages] == [np.uint16, np.uint8, np.uint16]
    assert (pages[1][:, 20:] == shallow[:, 20:]).all()


def test_resolution_and_what_is_asked_for_is_kept() -> None:
    data = tiff(fine(3), resolution=(300, 300), resolutionunit=2, description="A photograph", software="Camera 7")
    plain, kept = (run(data, Solid(), keep_metadata=keep).data for keep in (False, True))
    for result in (plain, kept):
        assert opened(result).info["dpi"] == (300, 300)
    assert b"photograph" not in plain
    assert opened(kept).tag_v2[270] == "A photograph"


def test_a_packed_page_has_its_further_directories() -> None:
    exif = Image.Exif()
    exif[270] = "A photograph"
    exif[IFD.Exif] = {0x920A: 50.0}
    data = encode_tiff([Raster("RGB", fine(3))], None, None, exif, packed=True)
    kept = opened(data).getexif()
    assert kept[270] == "A photograph"
    assert kept.get_ifd(IFD.Exif)[0x920A] == 50


def test_separate_planes_are_never_turned_into_noise() -> None:
    before = fine(3)
    for compression in ("zlib", None):
        out = BytesIO()
        planes = np.moveaxis(before, 2, 0)
        tifffile.imwrite(out, planes, photometric="rgb", planarconfig="separate", compression=compression)
        if compression:
            (after,) = pages_of(run(out.getvalue(), Gaussian(2), LEFT_HALF).data)
            assert (after[:, 30:] == before[:, 30:] >> 8).all()
        else:
            with pytest.raises(ImageError, match="separate planes"):
                run(out.getvalue())


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_deep_png_becomes_a_deep_tiff(channels: int) -> None:
    before = fine(channels)
    (after,) = pages_of(run(make_png(before, (4,)), Gaussian(2), LEFT_HALF, output_format=Format.TIFF).data)
    assert after.dtype == np.uint16
    assert (after[:, 30:, -1] == before[:, 30:, -1]).all()
    assert (after[:, 30:, 0] == before[:, 30:, 0]).all()
