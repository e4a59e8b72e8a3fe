"""Previews: what is marked on them is what is hidden, whatever the format, its orientation and its colours."""

import pytest
from PIL import Image

from services.blur_worker.engine import draw_preview
from services.blur_worker.engine.color.icc_profile import ADOBE_RGB, ADOBE_RGB_GAMMA, matrix_profile
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import Format, Region, Solid
from tests.support.images import encode, encode_frames, frames, opened, photo
from tests.support.oriented_files import OrientedFile, find_mark, oriented_files
from tests.unit.engine.running import FORMATS, LIMITS, run

FILES = list(oriented_files())


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
@pytest.mark.parametrize("output", [None, Format.PNG])
def test_what_is_marked_on_a_preview_is_what_is_hidden(file: OrientedFile, output: Format | None) -> None:
    preview = draw_preview(file.data, 60, LIMITS)
    picture = opened(preview.data)
    assert max(picture.size) == 60
    box = find_mark(picture)
    assert box
    width, height = picture.size
    left, top = (box[0] - 1) / width, (box[1] - 1) / height
    region = Region("box", left, top, (box[2] + 1) / width - left, (box[3] + 1) / height - top)
    result = run(file.data, Solid("#000000"), region, output_format=output)
    assert (result.width, result.height) == (preview.width, preview.height)
    assert find_mark(opened(result.data)) is None
    # The region is not just everything.
    assert region.width * region.height < 0.25


def test_files_are_turned_in_the_ways_that_count() -> None:
    turned = {file.name for file in FILES if draw_preview(file.data, 60, LIMITS).width == 80}
    ways = {name.rpartition("-")[0] for name in turned}
    assert {"jpg-short", "jpg-big_endian", "jpg-padded_header", "png-exif", "avif-properties", "tif-short"} <= ways
    assert "heic-properties" in ways
    assert not ways & {"jpg-long", "jpg-second_segment", "png-late_exif", "webp-exif", "heic-exif", "bmp-plain"}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_a_preview_that_is_never_enlarged(format_: Format) -> None:
    preview = draw_preview(encode(photo(), format_.value), 500, LIMITS)
    assert (preview.width, preview.height) == opened(preview.data).size == (96, 64)
    assert preview.format is Format.JPEG


def test_transparency_and_the_first_page_are_shown() -> None:
    faded = photo().convert("RGBA")
    faded.putalpha(Image.linear_gradient("L").resize(faded.size))
    preview = draw_preview(encode(faded, "PNG"), 48, LIMITS)
    assert preview.format is Format.WEBP
    shown = opened(preview.data)
    assert (shown.mode, shown.size) == ("RGBA", (48, 32))
    assert shown.getchannel("A").getextrema()[0] < 20
    pages = draw_preview(encode_frames([photo(40, 20), photo(20, 40)], "TIFF"), 48, LIMITS)
    assert (pages.width, pages.height) == (40, 20)
    assert draw_preview(encode_frames(frames(3), "GIF", duration=50), 48, LIMITS).width == 96


def test_colours_are_those_that_the_profile_means() -> None:
    green = Image.new("RGB", (32, 32), (110, 200, 60))
    adobe = matrix_profile(ADOBE_RGB, ADOBE_RGB_GAMMA, grey=False)
    for format_ in ("PNG", "JPEG", "WEBP", "TIFF"):
        shown = opened(draw_preview(encode(green, format_, icc_profile=adobe), 32, LIMITS).data)
        assert "icc_profile" not in shown.info
        assert shown.getpixel((16, 16))[0] < 80  # a green that sRGB has only with less red
    cmyk = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    red, _, blue = opened(draw_preview(encode(cmyk, "JPEG"), 32, LIMITS).data).getpixel((16, 16))
    assert red < 80
    assert blue > 180


def test_bad_files_are_refused_like_for_blurring() -> None:
    with pytest.raises(ImageError) as refused:
        draw_preview(b"no image", 100, LIMITS)
    assert refused.value.reason is Reason.NOT_AN_IMAGE
