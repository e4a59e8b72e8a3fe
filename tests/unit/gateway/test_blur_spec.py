"""Specs from messages, with what is to be found; errors name the field."""

from dataclasses import replace

import pytest
from imageblur.v1 import order_pb2

from services.common.domain.errors import InvalidArgument
from services.common.domain.spec import (
    BlurSpec,
    Effort,
    Find,
    FindingKind,
    Gaussian,
    Pixelate,
    Redact,
    Region,
    Solid,
    Stroke,
    TextClass,
)
from services.gateway.orders.messages.blur_spec import parse_spec
from services.gateway.orders.messages.spec_messages import region_message

RECT = order_pb2.Rect(left=0.25, top=0.25, width=0.5, height=0.5)
BOX = order_pb2.Region(box=RECT)
FACE = order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE)


def polygon(count: int, x: float = 0.5) -> order_pb2.Region:
    return order_pb2.Region(polygon=order_pb2.Polygon(points=[order_pb2.Point(x=x, y=0.5)] * count))


def brush(*counts: int, width: float = 0.1) -> order_pb2.Region:
    strokes = [order_pb2.Stroke(points=[order_pb2.Point(x=0.5, y=0.5)] * count, width=width) for count in counts]
    return order_pb2.Region(brush=order_pb2.Brush(strokes=strokes))


def test_without_an_effect_an_image_is_blurred_and_a_part_of_it_redacted() -> None:
    assert parse_spec(order_pb2.BlurSpec()).effect == Gaussian(5)
    assert parse_spec(order_pb2.BlurSpec(regions=[BOX])).effect == Redact()
    assert parse_spec(order_pb2.BlurSpec(find=[FACE])).effect == Redact()
    assert parse_spec(order_pb2.BlurSpec(find=[FACE], gaussian=order_pb2.Gaussian())).effect == Gaussian(5)
    assert parse_spec(order_pb2.BlurSpec(redact=order_pb2.Redact())).effect == Redact()


def test_what_is_to_be_found() -> None:
    text = order_pb2.Find(
        kind=order_pb2.FINDING_KIND_TEXT,
        min_confidence=0,
        padding=0.5,
        shape=order_pb2.REGION_SHAPE_ELLIPSE,
        text_classes=[order_pb2.TEXT_CLASS_CARD, order_pb2.TEXT_CLASS_IBAN],
    )
    custom = order_pb2.Find(kind=order_pb2.FINDING_KIND_CUSTOM, model="plates")
    spec = parse_spec(
        order_pb2.BlurSpec(find=[FACE, text, custom], effort=order_pb2.EFFORT_THOROUGH, exclude_regions=[BOX])
    )
    assert spec.find == (
        Find(kind=FindingKind.FACE),
        Find(
            kind=FindingKind.TEXT,
            min_confidence=0,
            padding=0.5,
            shape="ellipse",
            text_classes=(TextClass.CARD, TextClass.IBAN),
        ),
        Find(kind=FindingKind.CUSTOM, model="plates"),
    )
    assert spec.effort is Effort.THOROUGH
    assert spec.exclude_regions == (Region("box", 0.25, 0.25, 0.5, 0.5),)
    assert BlurSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("effect", [None, Gaussian(7), Gaussian(0.5, relative=True), Pixelate(9), Solid(), Redact()])
@pytest.mark.parametrize(
    "region",
    [
        Region("box", 0.125, 0.25, 0.5, 0.625, 0.0625, 0.03125),
        Region("ellipse", 0.125, 0.25, 0.5, 0.625, 0.0625, 0.03125),
        Region.polygon([(0, 0), (1, 0.25), (0.5, 1)], 0.0625, 0.03125),
        Region.brush([Stroke(((0, 0),), 0.25), Stroke(((0, 0), (1, 1)), 0.5)], 0.0625, 0.03125),
    ],
)
def test_a_region_that_is_given_back_is_the_same(effect: Gaussian | None, region: Region) -> None:
    region = replace(region, effect=effect)
    assert parse_spec(order_pb2.BlurSpec(regions=[region_message(region)])).regions == (region,)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (order_pb2.BlurSpec(find=[FACE, order_pb2.Find()]), "find[1].kind"),
        (order_pb2.BlurSpec(find=[order_pb2.Find(kind=9)]), "find[0].kind"),  # type: ignore[arg-type]
        (order_pb2.BlurSpec(find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_CUSTOM)]), "find[0].model"),
        (
            order_pb2.BlurSpec(find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE, min_confidence=1.5)]),
            "find[0].min_confidence",
        ),
        (order_pb2.BlurSpec(find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE, padding=-0.1)]), "find[0].padding"),
        (order_pb2.BlurSpec(find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE, shape=7)]), "find[0].shape"),  # type: ignore[arg-type]
        (
            order_pb2.BlurSpec(
                find=[order_pb2.Find(kind=order_pb2.FINDING_KIND_FACE, text_classes=[order_pb2.TEXT_CLASS_ALL])]
            ),
            "find[0].text_classes",
        ),
        (
            order_pb2.BlurSpec(
                find=[
                    order_pb2.Find(
                        kind=order_pb2.FINDING_KIND_TEXT,
                        text_classes=[order_pb2.TEXT_CLASS_ALL, order_pb2.TEXT_CLASS_UNSPECIFIED],
                    )
                ]
            ),
            "find[0].text_classes[1]",
        ),
        (order_pb2.BlurSpec(find=[FACE] * 11), "find"),
        (order_pb2.BlurSpec(find=[FACE], effort=8), "effort"),  # type: ignore[arg-type]
        (order_pb2.BlurSpec(exclude_regions=[BOX, order_pb2.Region()]), "exclude_regions[1]"),
        (order_pb2.BlurSpec(exclude_regions=[BOX] * 101), "exclude_regions"),
        (order_pb2.BlurSpec(regions=[BOX] * 101), "regions"),
        (order_pb2.BlurSpec(regions=[polygon(2)]), "regions[0].polygon.points"),
        (order_pb2.BlurSpec(regions=[BOX, polygon(101)]), "regions[1].polygon.points"),
        (order_pb2.BlurSpec(regions=[polygon(3, 1.5)]), "regions[0].polygon.points[0].x"),
        (order_pb2.BlurSpec(exclude_regions=[brush()]), "exclude_regions[0].brush.strokes"),
        (order_pb2.BlurSpec(regions=[brush(*[1] * 101)]), "regions[0].brush.strokes"),
        (order_pb2.BlurSpec(regions=[brush(1, 501)]), "regions[0].brush.strokes[1].points"),
        (order_pb2.BlurSpec(regions=[brush(1, 0)]), "regions[0].brush.strokes[1].points"),
        (order_pb2.BlurSpec(regions=[brush(1, width=0)]), "regions[0].brush.strokes[0].width"),
        (order_pb2.BlurSpec(regions=[polygon(100)] * 21), "regions"),
        (
            order_pb2.BlurSpec(regions=[order_pb2.Region(box=RECT, gaussian=order_pb2.Gaussian(sigma_px=-1))]),
            "regions[0].gaussian.sigma_px",
        ),
    ],
)
def test_errors_name_the_field(spec: order_pb2.BlurSpec, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_spec(spec)
    assert [violation.field for violation in caught.value.violations] == [field]
