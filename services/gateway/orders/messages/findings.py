"""Converts findings, checks and models to messages."""

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.findings import Check, Finding, FindModel, Inspection
from services.gateway.orders.messages.spec_messages import region_message


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


def model_message(model: FindModel) -> pb.FindModel:
    """Return a model."""
    return pb.FindModel(
        kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{model.kind}"),
        name=model.name,
        version=model.version,
        license=model.license,
        labels=model.labels,
    )
