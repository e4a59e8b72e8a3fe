"""Manifests and form fields as messages of the gateway."""

import json
from typing import Any

import pytest
from imageblur.v1 import order_pb2

from services.web.orders.manifest import BadManifest, parse
from services.web.orders.spec_values import spec_of


def manifest(**changes: Any) -> bytes:
    data = {
        "email": " ann@example.org ",
        "notify": True,
        "request_id": "4bb7b1a4-6c0a-4d9a-a2a5-6d9be0b1b7a7",
        "spec": {"effect": "gaussian", "strength": 2},
        "images": [
            {"name": "a.jpg", "size": 5, "spec": None},
            {"name": "b.jpg", "size": 7, "spec": {"effect": "solid", "color": "#102030"}},
        ],
    }
    return json.dumps(data | changes).encode()


def test_an_order_and_its_images() -> None:
    parsed = parse(manifest(), "ru")
    assert (parsed.header.email, parsed.header.locale, parsed.header.notify) == ("ann@example.org", "ru", True)
    assert parsed.header.spec.gaussian.sigma_relative == pytest.approx(0.02)
    first, second = parsed.images
    assert (first.filename, first.size_bytes, first.HasField("spec")) == ("a.jpg", 5, False)
    assert second.spec.solid.color == "#102030"
    assert parsed.start().start.image_count == 2


def test_the_dry_run_has_the_same_images_without_their_bytes() -> None:
    request = parse(manifest(), "en").dry_run()
    assert [image.filename for image in request.images] == ["a.jpg", "b.jpg"]
    assert not request.images[0].HasField("spec")
    assert request.images[1].spec.HasField("solid")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        manifest(images=[{"name": "a"}]),
        manifest(images=[{"name": "a", "size": -1}]),
        manifest(images=[{"name": "a", "size": 1e400}]),
        manifest(images=3),
        manifest(spec={"effect": "melt"}),
        manifest(spec={"find": ["cats"]}),
        manifest(spec={"find": 3}),
        manifest(spec={"format": "EXE"}),
        manifest(spec={"regions": [{"left": 0}]}),
        manifest(spec={"regions": [{"shape": "polygon", "points": [[0, 0], [1]]}]}),
        manifest(spec={"regions": [{"shape": "brush", "strokes": [{"points": [[0, 0]]}]}]}),
        manifest(spec=None),
    ],
)
def test_malformed_manifests_are_refused(text: bytes) -> None:
    with pytest.raises(BadManifest):
        parse(text, "en")


def test_regions_never_leave_the_image_by_rounding() -> None:
    region = {"shape": "ellipse", "left": 0.7, "top": 0.1, "width": 0.30000000000000004, "height": 0.2}
    spec = spec_of({"effect": "pixelate", "strength": 3, "regions": [region], "outside": True, "format": "PNG"})
    rect = spec.regions[0].ellipse
    assert rect.left + rect.width <= 1
    assert spec.invert_regions
    assert spec.output_format == order_pb2.IMAGE_FORMAT_PNG
    assert spec.pixelate.cell_relative == pytest.approx(0.03)


def test_polygons_and_brushes() -> None:
    polygon = {"shape": "polygon", "points": [[0, 0], [1.0000001, 0.25], [0.5, 1]], "padding": 0.02}
    brush = {"shape": "brush", "strokes": [{"points": [[0.5, -1e-9]], "width": 0.1}], "feather": 0.03}
    first, second = spec_of({"regions": [polygon, brush]}).regions
    assert [(point.x, point.y) for point in first.polygon.points] == [(0, 0), (1, 0.25), (0.5, 1)]
    assert (first.padding, first.feather) == (0.02, 0)
    stroke = second.brush.strokes[0]
    assert ([(point.x, point.y) for point in stroke.points], stroke.width) == ([(0.5, 0)], 0.1)
    assert (second.padding, second.feather) == (0, 0.03)


@pytest.mark.parametrize("data", [{"find": ["faces", "codes"]}, {"find_faces": "on", "find_codes": "on"}])
def test_what_to_find_by_script_or_form(data: dict[str, Any]) -> None:
    spec = spec_of(data | {"effect": "redact"})
    kinds = [order_pb2.FINDING_KIND_FACE, order_pb2.FINDING_KIND_CODE]
    assert [find.kind for find in spec.find] == kinds
    assert spec.HasField("redact")


def test_without_regions_there_is_no_outside() -> None:
    assert not spec_of({"effect": "gaussian", "outside": True}).invert_regions
