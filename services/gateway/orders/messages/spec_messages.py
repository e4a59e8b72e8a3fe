"""Converts blur specs, their regions and effects to messages, so that a client can send one back with changes."""

from collections.abc import Sequence
from typing import assert_never

from imageblur.v1 import order_pb2

from services.common.domain.spec import BlurSpec, Effect, Find, Gaussian, Pixelate, Point, Redact, Region, Solid


def spec_message(spec: BlurSpec) -> order_pb2.BlurSpec:
    """Return a spec; `parse_spec` makes the same spec of it."""
    message = order_pb2.BlurSpec(
        regions=map(region_message, spec.regions),
        invert_regions=spec.invert_regions,
        find=map(_find_message, spec.find),
        effort=order_pb2.Effort.Value(f"EFFORT_{spec.effort}") if spec.find else order_pb2.EFFORT_UNSPECIFIED,
        exclude_regions=map(region_message, spec.exclude_regions),
        keep_metadata=spec.keep_metadata,
    )
    if spec.output_format:
        message.output_format = order_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{spec.output_format}")
    if spec.quality != BlurSpec.quality:
        message.quality = spec.quality
    _set_effect(message, spec.effect)
    return message


def region_message(region: Region) -> order_pb2.Region:
    """Return a region."""
    message = order_pb2.Region(padding=region.padding, feather=region.feather)
    rect = order_pb2.Rect(left=region.left, top=region.top, width=region.width, height=region.height)
    match region.shape:
        case "box":
            message.box.CopyFrom(rect)
        case "ellipse":
            message.ellipse.CopyFrom(rect)
        case "polygon":
            message.polygon.points.extend(_points(region.points))
        case "brush":
            strokes = (order_pb2.Stroke(points=_points(each.points), width=each.width) for each in region.strokes)
            message.brush.strokes.extend(strokes)
    if region.effect:
        _set_effect(message, region.effect)
    return message


def _points(points: Sequence[Point]) -> list[order_pb2.Point]:
    return [order_pb2.Point(x=x, y=y) for x, y in points]


def _set_effect(message: order_pb2.Region | order_pb2.BlurSpec, effect: Effect) -> None:
    """Set the effect of a region or of a spec."""
    match effect:
        case Gaussian(sigma, relative):
            value = {"sigma_relative" if relative else "sigma_px": sigma}
            message.gaussian.CopyFrom(order_pb2.Gaussian(**value))
        case Pixelate(cell, relative):
            cells = order_pb2.Pixelate(cell_relative=cell) if relative else order_pb2.Pixelate(cell_px=int(cell))
            message.pixelate.CopyFrom(cells)
        case Solid(color):
            message.solid.CopyFrom(order_pb2.Solid(color=color))
        case Redact():
            message.redact.SetInParent()
        case _:
            assert_never(effect)


def _find_message(find: Find) -> order_pb2.Find:
    message = order_pb2.Find(
        kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{find.kind}"),
        model=find.model,
        min_confidence=find.min_confidence,
        padding=find.padding,
        text_classes=[order_pb2.TextClass.Value(f"TEXT_CLASS_{name}") for name in find.text_classes],
    )
    if find.shape:
        message.shape = order_pb2.RegionShape.Value(f"REGION_SHAPE_{find.shape.upper()}")
    return message
