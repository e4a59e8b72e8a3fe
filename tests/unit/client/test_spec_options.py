import pytest
import typer
from imageblur.v1.order_pb2 import BlurSpec, Gaussian, ImageFormat, Pixelate, Solid
from imageblur_client.cli.spec_options import OutputFormat, effect, regions
from imageblur_client.regions import box, ellipse


@pytest.mark.parametrize(
    ("sigma", "relative", "cell", "color", "spec"),
    [
        (None, False, None, None, BlurSpec()),
        (12.5, False, None, None, BlurSpec(gaussian=Gaussian(sigma_px=12.5))),
        (0.02, True, None, None, BlurSpec(gaussian=Gaussian(sigma_relative=0.02))),
        (0.0, False, None, None, BlurSpec(gaussian=Gaussian(sigma_px=0))),  # Wrong, but for the server to say.
        (None, False, 16, None, BlurSpec(pixelate=Pixelate(cell_px=16))),
        (None, False, None, "#1E90ff", BlurSpec(solid=Solid(color="#1e90ff"))),
        (None, False, None, "1e90ff", BlurSpec(solid=Solid(color="#1e90ff"))),
    ],
)
def test_effects(sigma: float | None, relative: bool, cell: int | None, color: str | None, spec: BlurSpec) -> None:
    found = effect(sigma=sigma, relative=relative, cell=cell, color=color)

    assert found == spec
    assert found.WhichOneof("effect") == spec.WhichOneof("effect")


@pytest.mark.parametrize("color", ["", "red", "#12345", "#1234567", "##12345", "#12345g"])
def test_wrong_colours(color: str) -> None:
    with pytest.raises(typer.BadParameter):
        effect(sigma=None, relative=False, cell=None, color=color)


def test_regions() -> None:
    found = regions(["0,0,1,.5", " .1 , .2 , .3 , .4 "], ["0,0,1,1"], padding=0.1, feather=0.2)

    assert found == [
        box(0, 0, 1, 0.5, padding=0.1, feather=0.2),
        box(0.1, 0.2, 0.3, 0.4, padding=0.1, feather=0.2),
        ellipse(0, 0, 1, 1, padding=0.1, feather=0.2),
    ]


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_wrong_regions_show_the_right_form(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="LEFT,TOP,WIDTH,HEIGHT"):
        regions([], [text], padding=0, feather=0)


def test_there_is_a_name_for_every_format_of_the_interface() -> None:
    assert {name.to_proto() for name in OutputFormat} == set(ImageFormat.values()) - {0}
    assert OutputFormat.JPG.to_proto() == OutputFormat.JPEG.to_proto() == ImageFormat.IMAGE_FORMAT_JPEG
