"""Converts findings and checks to messages."""

from imageblur.v1 import order_pb2

from services.common.domain.findings import Check, Finding, Rect
from services.common.domain.spec import Effect, Gaussian, Pixelate, Redact, Region, Solid


def finding_message(finding: Finding) -> order_pb2.Finding:
    """Return a finding."""
    return order_pb2.Finding(
        kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{finding.kind}"),
        label=finding.label,
        confidence=finding.confidence,
        box=_rect(finding.box),
        region=region_message(finding.region),
        model=finding.model,
        model_version=finding.model_version,
        applied=finding.applied,
    )


def check_message(check: Check) -> order_pb2.Check:
    """Return a check."""
    return order_pb2.Check(
        state=order_pb2.CheckState.Value(f"CHECK_STATE_{check.state}"),
        remaining=map(finding_message, check.remaining),
        strengthened=check.strengthened,
    )


def region_message(region: Region) -> order_pb2.Region:
    """Return a region."""
    rect = order_pb2.Rect(left=region.left, top=region.top, width=region.width, height=region.height)
    message = order_pb2.Region(padding=region.padding, feather=region.feather)
    (message.ellipse if region.shape == "ellipse" else message.box).CopyFrom(rect)
    if region.effect is not None:
        _set_effect(message, region.effect)
    return message


def _set_effect(message: order_pb2.Region, effect: Effect) -> None:
    match effect:
        case Gaussian(sigma, relative):
            gaussian = order_pb2.Gaussian(sigma_relative=sigma) if relative else order_pb2.Gaussian(sigma_px=sigma)
            message.gaussian.CopyFrom(gaussian)
        case Pixelate(cell, relative):
            message.pixelate.CopyFrom(
                order_pb2.Pixelate(cell_relative=cell) if relative else order_pb2.Pixelate(cell_px=int(cell))
            )
        case Solid(color):
            message.solid.CopyFrom(order_pb2.Solid(color=color))
        case Redact():
            message.redact.CopyFrom(order_pb2.Redact())


def _rect(rect: Rect) -> order_pb2.Rect:
    return order_pb2.Rect(left=rect.left, top=rect.top, width=rect.width, height=rect.height)
