import numpy as np
import pytest
from PIL import Image, ImageSequence

from services.common.domain.spec import Format, Gaussian, Region, Solid
from tests.support.images import FRAME_MILLISECONDS, animation, encode_frames, frames, opened, photo, samples
from tests.unit.engine.reference import psnr
from tests.unit.engine.running import LEFT_HALF, run, run_on

ANIMATED = [Format.GIF, Format.WEBP, Format.PNG, Format.AVIF]


def shown(data: bytes) -> tuple[list[Image.Image], list[int]]:
    """The frames of an animation as displayed, and their durations in milliseconds."""
    found, times = [], []
    for frame in ImageSequence.Iterator(opened(data)):
        frame.load()
        found.append(frame.convert("RGBA"))
        times.append(round(frame.info["duration"]))
    return found, times


@pytest.mark.parametrize("source", ANIMATED)
@pytest.mark.parametrize("target", ANIMATED)
def test_frames_and_times_are_kept(source: Format, target: Format) -> None:
    data = animation(source.value)
    result = run(data, Gaussian(2), output_format=target)
    after, times = shown(result.data)
    assert result.frames == len(after) == 4
    assert times == FRAME_MILLISECONDS
    for frame, original in zip(after, frames(4), strict=True):
        assert psnr(samples(frame.convert("RGB")), samples(run_on(original, Gaussian(2)))) > 26


@pytest.mark.parametrize("format_", [Format.GIF, Format.WEBP, Format.PNG])
@pytest.mark.parametrize("loop", [0, 3])
def test_the_loop_count_is_kept(format_: Format, loop: int) -> None:
    assert opened(run(animation(format_.value, loop=loop)).data).info["loop"] == loop


def test_a_gif_that_plays_once_still_does() -> None:
    assert "loop" not in opened(run(animation(Format.GIF.value)).data).info
    assert opened(run(animation(Format.GIF.value), output_format=Format.WEBP).data).info["loop"] == 1
    assert opened(run(animation(Format.GIF.value, loop=2), output_format=Format.PNG).data).info["loop"] == 3


@pytest.mark.parametrize("format_", [Format.GIF, Format.PNG, Format.AVIF])
def test_frames_that_have_become_equal_are_kept(format_: Format) -> None:
    after, times = shown(run(animation(format_.value), Solid()).data)
    assert (len(after), times) == (4, FRAME_MILLISECONDS)
    assert all(frame.getcolors() == [(96 * 64, (0, 0, 0, 255))] for frame in after)


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_frames_are_blurred_as_displayed(disposal: int) -> None:
    images = []
    for index in range(4):
        frame = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (4 + 14 * index, 8, 18 + 14 * index, 40))
        images.append(frame)
    data = encode_frames(images, "GIF", duration=50, disposal=disposal, loop=0)
    before, _ = shown(data)
    for target in (Format.GIF, Format.PNG):
        result = run(data, Solid("#00ff00"), Region("box", 0, 0, 1, 0.1), output_format=target)
        after, _ = shown(result.data)
        for old, new in zip(before, after, strict=True):
            assert (samples(new.crop((0, 5, 64, 48)))[..., 3] == samples(old.crop((0, 5, 64, 48)))[..., 3]).all()
            seen = samples(old)[5:, :, 3] > 0
            assert (samples(new)[5:][seen] == samples(old)[5:][seen]).all()
            assert new.getpixel((63, 0)) == (0, 255, 0, 255)


def test_webp_joins_equal_frames_and_keeps_their_time() -> None:
    data = encode_frames([photo(), *frames(2), photo(), photo()], "PNG", duration=[10, 20, 30, 40, 50])
    _, times = shown(run(data, output_format=Format.WEBP).data)
    assert times == [10, 20, 30, 90]


def test_regions_apply_to_every_frame() -> None:
    after, _ = shown(run(animation(Format.PNG.value), Solid("#123456"), LEFT_HALF).data)
    for frame, original in zip(after, frames(4), strict=True):
        assert frame.crop((0, 0, 48, 64)).getcolors() == [(48 * 64, (0x12, 0x34, 0x56, 255))]
        assert (samples(frame.convert("RGB"))[:, 48:] == samples(original)[:, 48:]).all()


@pytest.mark.parametrize("source", ANIMATED)
@pytest.mark.parametrize("target", [Format.JPEG, Format.BMP, Format.TIFF])
def test_a_still_format_gets_the_first_frame(source: Format, target: Format) -> None:
    result = run(animation(source.value), Gaussian(2), output_format=target)
    assert result.frames == 1
    assert psnr(samples(opened(result.data).convert("RGB")), samples(run_on(frames(1)[0], Gaussian(2)))) > 26


def test_the_default_image_of_an_apng_is_not_a_frame() -> None:
    data = encode_frames([Image.new("RGB", (96, 64)), *frames(3)], "PNG", default_image=True, duration=70)
    result = run(data, Solid(), Region("box", 0, 0, 0.01, 0.01))
    after, _ = shown(result.data)
    assert len(after) == result.frames == 3
    assert (samples(after[0].convert("RGB"))[1:] == samples(frames(3)[0])[1:]).all()


def test_tiff_pages_are_kept_each_with_its_own_size_and_mode() -> None:
    pages = [photo(), photo(50, 30).convert("L"), photo(20, 70).convert("CMYK")]
    data = encode_frames(pages, "TIFF")
    result = run(data, Solid("#ffffff"), LEFT_HALF)
    image = opened(result.data)
    assert image.n_frames == result.frames == 3
    for index, page in enumerate(pages):
        image.seek(index)
        assert (image.size, image.mode) == (page.size, page.mode)
        half = page.width // 2
        assert (np.asarray(image)[:, half:] == np.asarray(page)[:, half:]).all()
    assert run(data, output_format=Format.PNG).frames == 1
    assert run(data, output_format=Format.WEBP).frames == 1
