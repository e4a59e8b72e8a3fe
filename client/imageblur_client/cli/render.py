"""Formats responses as lines for people or as JSON for programs."""

import json
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from imageblur.v1.blur_service_pb2 import FindModel, GetLimitsResponse
from imageblur.v1.order_pb2 import (
    CheckState,
    Counts,
    Delivery,
    DeliveryState,
    FindingKind,
    Image,
    ImageFormat,
    ImageState,
    Order,
    OrderState,
    WebhookState,
)

from imageblur_client.cli.text import count, local_time, plain, seconds, size


def json_line(**fields: object) -> str:
    """Return a JSON object on one line, in ASCII, so that it cannot control a terminal."""
    return json.dumps(fields)


def as_dict(message: Message) -> dict[str, object]:
    """Return a message as ProtoJSON (64-bit numbers are strings, bytes base64), with proto field names and defaults."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def enum_label(enum: EnumDescriptor, number: int) -> str:
    """Return `partially failed` for `ORDER_STATE_PARTIALLY_FAILED`; the number if this client does not know it."""
    if (value := enum.values_by_number.get(number)) is None:
        return str(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(prefix).replace("_", " ").lower()


def order_lines(order: Order) -> Iterator[str]:
    """Yield an order in a few lines."""
    yield f"Order {plain(order.order_id)}: {enum_label(OrderState.DESCRIPTOR, order.state)}"
    yield f"  images   {counts(order.counts)}"
    if order.HasField("estimated_remaining"):
        yield f"  ready    in about {seconds(order.estimated_remaining.ToTimedelta().total_seconds())}"
    for name, field in (("placed", "create_time"), ("finished", "finish_time"), ("kept", "expire_time")):
        if order.HasField(field):  # type: ignore[arg-type]
            until = "until " if name == "kept" else ""
            yield f"  {name:8} {until}{local_time(getattr(order, field))}"
    for delivery in order.deliveries:
        yield f"  mail     {delivery_line(delivery, to=order.email_hint)}"
    for event in order.webhook_events:
        outcome = f" ({plain(event.message)})" if event.message else ""
        yield f"  webhook  {plain(event.type)}: {enum_label(WebhookState.DESCRIPTOR, event.state)}{outcome}"


def counts(of: Counts) -> str:
    """Return counts as `40: 12 blurred, 1 failed, 27 to do`."""
    parts = [f"{of.succeeded:,} blurred"]
    parts += [f"{of.failed:,} failed"] if of.failed else []
    parts += [f"{of.cancelled:,} cancelled"] if of.cancelled else []
    waiting = of.queued + of.running
    parts += [f"{waiting:,} to do"] if waiting else []
    return f"{of.total:,}: {', '.join(parts)}"


def delivery_line(delivery: Delivery, to: str = "") -> str:
    """Return a delivery as `sent to a***@example.org in 2 e-mails`."""
    line = {
        DeliveryState.DELIVERY_STATE_WAITING: "to be sent when the order has finished",
        DeliveryState.DELIVERY_STATE_QUEUED: "queued",
        DeliveryState.DELIVERY_STATE_SENDING: "being sent",
    }.get(delivery.state) or enum_label(DeliveryState.DESCRIPTOR, delivery.state)
    line += f" to {plain(to)}" if to else ""
    line += f" in {count(delivery.emails, 'e-mail')}" if delivery.emails else ""
    return f"{line}: {plain(delivery.failure.message)}" if delivery.failure.message else line


def image_lines(images: Iterable[Image]) -> Iterator[str]:
    """Yield a line for each image; column widths are fixed, so that lines can be streamed."""
    for image in images:
        line = f"{image.position:>6}  {enum_label(ImageState.DESCRIPTOR, image.state):9}  {plain(image.filename)}"
        if image.state == ImageState.IMAGE_STATE_SUCCEEDED:
            line += f"  {image.width}\N{MULTIPLICATION SIGN}{image.height}  {size(image.output_bytes)}{findings(image)}"
            if image.failure.message:
                line += f"  not revised: {plain(image.failure.message)}"
        elif image.failure.message:
            line += f"  {plain(image.failure.message)}"
        yield line


def findings(image: Image) -> str:
    """Return what was found, such as `  3 found, 2 hidden, clean`; nothing if nothing was to be found."""
    if not image.findings and image.check.state in {0, CheckState.CHECK_STATE_NOT_CHECKED}:
        return ""
    hidden = sum(finding.applied for finding in image.findings)
    found = f"{len(image.findings):,} found, {hidden:,} hidden" if image.findings else "nothing found"
    if image.check.state == CheckState.CHECK_STATE_REMAINING:
        return f"  {found}, {len(image.check.remaining):,} STILL FOUND in the result: look at it"
    checked = enum_label(CheckState.DESCRIPTOR, image.check.state)
    return f"  {found}, {checked}" + (" (made stronger)" if image.check.strengthened else "")


def limits_lines(limits: GetLimitsResponse) -> Iterator[str]:
    """Yield the limits of a server."""
    formats = ", ".join(enum_label(ImageFormat.DESCRIPTOR, value).upper() for value in limits.formats)
    read = [value for value in limits.input_formats if value not in limits.formats]
    others = ", ".join(enum_label(ImageFormat.DESCRIPTOR, value).upper() for value in read)
    yield f"formats  {formats}" + (f"; read only: {others}" if others else "")
    yield f"order    {count(limits.max_images, 'image')}, {size(limits.max_order_bytes)}"
    yield f"image    {size(limits.max_image_bytes)}, {limits.max_pixels:,} pixels (width \u00d7 height \u00d7 frames)"
    if limits.max_frames:
        counts = count(limits.max_frames, "frame"), count(limits.max_pages, "page"), count(limits.max_segments, "part")
        yield f"         {', '.join(counts)}, {count(limits.max_scans, 'scan')}"
    yield f"results  kept for {seconds(limits.retention.ToTimedelta().total_seconds())}"
    if limits.find_models:
        yield f"finds    {', '.join(map(_model, limits.find_models))}"
    if limits.source_places:
        yield f"from     {', '.join(map(plain, limits.source_places))}"
    if limits.target_places:
        yield f"to       {', '.join(map(plain, limits.target_places))}"
    yield f"server   {plain(limits.server_version)}"


def _model(model: FindModel) -> str:
    match model.kind:
        case FindingKind.FINDING_KIND_CUSTOM:
            return f"custom:{plain(model.name)}"
        case FindingKind.FINDING_KIND_TEXT:
            return "text"
    return f"{enum_label(FindingKind.DESCRIPTOR, model.kind)}s"
