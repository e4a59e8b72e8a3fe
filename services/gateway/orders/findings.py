"""Converts specs of regions, findings, checks and models to messages."""

from collections.abc import Sequence

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.findings import Check, Finding, FindModel, Inspection
from services.common.domain.spec import Effect, Gaussian, Pixelate, Point, Redact, Region, Solid


def inspection_messages(inspection: Inspection) -> tuple[list[order_pb2.Finding], order_pb2.Check]:
    """Return findings and check."""
    return [finding_message(finding) for finding in inspection.findings], check_message(inspection.check)


def finding_message(finding: Finding) -> order_pb2.Finding:
    """Return a finding."""
    box = finding.box
    return order_pb2.Finding(
        kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{finding.kind}"),
        label=finding.label,
        confidence=finding.confidence,
        box=order_pb2.Rect(left=box.left, top=box.top, width=box.width, height=box.height),
        region=region_message(finding.region),
        model=finding.model,
        model_version=finding.model_version,
        applied=finding.applied,
    )


def check_message(check: Check) -> order_pb2.Check:
    """Return a check."""
    return order_pb2.Check(
        state=order_pb2.CheckState.Value(f"CHECK_STATE_{check.state}"),
        remaining=[finding_message(finding) for finding in check.remaining],
        strengthened=check.strengthened,
    )


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
        set_effect(message, region.effect)
    return message


def _points(points: Sequence[Point]) -> list[order_pb2.Point]:
    return [order_pb2.Point(x=x, y=y) for x, y in points]


def model_message(model: FindModel) -> pb.FindModel:
    """Return a model."""
    return pb.FindModel(
        kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{model.kind}"),
        name=model.name,
        version=model.version,
        license=model.license,
        labels=model.labels,
    )


def set_effect(message: order_pb2.Region | order_pb2.BlurSpec, effect: Effect) -> None:
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
