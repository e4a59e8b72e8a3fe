import pytest
import typer
from imageblur.v1.order_pb2 import (
    BlurSpec,
    Effort,
    Find,
    Finding,
    FindingKind,
    Gaussian,
    Image,
    ImageFormat,
    Pixelate,
    Redact,
    Solid,
    TextClass,
)
from imageblur_client.cli.spec_options import EffortName, OutputFormat, effect, excluded, finds, regions
from imageblur_client.finding import hidden_regions
from imageblur_client.regions import box, brush, ellipse, polygon


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
    found = regions(
        boxes=["0,0,1,.5", " .1 , .2 , .3 , .4 "],
        ellipses=["0,0,1,1"],
        polygons=["0,0,1,0,.5,1"],
        brushes=[".1:.2,.3", ".05:0,0,1,1"],
        padding=0.1,
        feather=0.2,
    )

    assert found == [
        box(0, 0, 1, 0.5, padding=0.1, feather=0.2),
        box(0.1, 0.2, 0.3, 0.4, padding=0.1, feather=0.2),
        ellipse(0, 0, 1, 1, padding=0.1, feather=0.2),
        polygon([(0, 0), (1, 0), (0.5, 1)], padding=0.1, feather=0.2),
        brush([(0.2, 0.3)], 0.1, padding=0.1, feather=0.2),
        brush([(0, 0), (1, 1)], 0.05, padding=0.1, feather=0.2),
    ]


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_wrong_regions_show_the_right_form(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="LEFT,TOP,WIDTH,HEIGHT"):
        regions(ellipses=[text], padding=0, feather=0)


@pytest.mark.parametrize("text", ["", "0,0,1,1", "0,0,1,0,1", "0,0,1,0,.5,x", "0 0,1 0,1 1"])
def test_wrong_polygons_show_the_right_form(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="X,Y,X,Y,X,Y and so on"):
        regions(polygons=[text], padding=0, feather=0)


@pytest.mark.parametrize("text", ["", "0,0", "0.1:", "0.1:0", ":0,0", "0.1:0,0,1"])
def test_wrong_brushes_show_the_right_form(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="WIDTH:X,Y,X,Y"):
        regions(brushes=[text], padding=0, feather=0)


def test_there_is_a_name_for_every_format_that_is_written() -> None:
    assert {name.to_proto() for name in OutputFormat} == set(ImageFormat.values()) - {0, ImageFormat.IMAGE_FORMAT_HEIF}
    assert OutputFormat.JPG.to_proto() == OutputFormat.JPEG.to_proto() == ImageFormat.IMAGE_FORMAT_JPEG


def test_redact_is_an_effect_among_others() -> None:
    spec = effect(sigma=None, relative=False, cell=None, color=None, redact=True)
    assert spec == BlurSpec(redact=Redact())
    with pytest.raises(typer.BadParameter, match="one of"):
        effect(sigma=1, relative=False, cell=None, color=None, redact=True)


def test_what_to_find() -> None:
    card, mail = TextClass.TEXT_CLASS_CARD, TextClass.TEXT_CLASS_E_MAIL
    assert finds(["faces, text:card+e-mail", "codes,custom:plates,text"], min_confidence=0.5) == [
        Find(kind=FindingKind.FINDING_KIND_FACE, min_confidence=0.5),
        Find(kind=FindingKind.FINDING_KIND_TEXT, min_confidence=0.5, text_classes=[card, mail]),
        Find(kind=FindingKind.FINDING_KIND_CODE, min_confidence=0.5),
        Find(kind=FindingKind.FINDING_KIND_CUSTOM, min_confidence=0.5, model="plates"),
        Find(kind=FindingKind.FINDING_KIND_TEXT, min_confidence=0.5),
    ]
    (faces,) = finds(["faces"], padding=0)
    assert (faces.HasField("min_confidence"), faces.HasField("padding")) == (False, True)
    assert excluded(["0,0,1,.5"]) == [box(0, 0, 1, 0.5)]


@pytest.mark.parametrize("text", ["", "face", "faces,", "faces:all", "codes:qr", "custom", "text:card,iban"])
def test_wrong_things_to_find(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is none of faces, text"):
        finds([text])


def test_wrong_classes_of_text_name_the_right_ones() -> None:
    with pytest.raises(typer.BadParameter, match="'cards' is no class of text: there are all, e_mail, phone, card"):
        finds(["text:cards"])


def test_there_is_a_name_for_every_effort_and_class_of_the_interface() -> None:
    assert {name.to_proto() for name in EffortName} == set(Effort.values()) - {0}
    for name, number in TextClass.items():
        if number:
            (found,) = finds([f"text:{name.removeprefix('TEXT_CLASS_').lower()}"])
            assert list(found.text_classes) == [number]


def test_hidden_regions_are_those_of_findings_that_were_hidden() -> None:
    hidden, left = box(0, 0, 0.5, 0.5), box(0.5, 0.5, 0.5, 0.5)
    image = Image(findings=[Finding(region=hidden, applied=True), Finding(region=left)])
    assert hidden_regions(image) == [hidden]
