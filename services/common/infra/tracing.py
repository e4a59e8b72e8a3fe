"""Traces over OpenTelemetry, off unless an endpoint is set. All work for an order, in all services, is one trace.

A trace's id is derived from its order's, so messages carry no trace context, and work that the sweep enqueues again
joins the trace too. It is a hash: an order's id itself gives access to the order.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.common.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_NANOSECONDS = 1_000_000_000
_provider: "TracerProvider | None" = None


def start(service: str, endpoint: str | None) -> None:
    """Send spans to an OTLP endpoint (gRPC); without one, none are recorded.

    Raises:
        ConfigurationError: An endpoint is set, and the libraries are not installed.
    """
    global _provider  # noqa: PLW0603 - one for the process, as OpenTelemetry's own
    if not endpoint:
        return
    try:
        # Imported here: they take a fifth of a second, and are an extra.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"IMAGEBLUR_TRACES_ENDPOINT: install imageblur[tracing]: {error.name}") from None
    _provider = TracerProvider(resource=Resource.create({"service.name": f"imageblur-{service}"}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"), timeout=5)
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))


def stop() -> None:
    """Send the remaining spans."""
    if _provider:
        _provider.shutdown()


def record(
    name: str, order_id: object, seconds: float, *, ok: bool = True, attributes: Mapping[str, Any] | None = None
) -> None:
    """Record a span for an order that ends now, without addresses, file names and tokens."""
    if _provider is None or order_id is None:
        return
    from opentelemetry import trace  # noqa: PLC0415

    digest = hashlib.sha256(f"imageblur trace {order_id}".encode()).digest()
    parent = trace.SpanContext(
        trace_id=int.from_bytes(digest[:16], "big"),
        # The order itself, of which no span is sent.
        span_id=int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    end = time.time_ns()
    span = _provider.get_tracer("imageblur").start_span(
        name, context, attributes=dict(attributes or {}), start_time=end - int(seconds * _NANOSECONDS)
    )
    if not ok:
        span.set_status(trace.StatusCode.ERROR)
    span.end(end)
