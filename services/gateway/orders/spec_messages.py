"""Converts blur specs to messages, so that a client can send one back with changes."""

from imageblur.v1 import order_pb2

from services.common.domain.spec import BlurSpec, Find
from services.gateway.orders.findings import region_message, set_effect


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
    set_effect(message, spec.effect)
    return message


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
