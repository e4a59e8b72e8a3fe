"""A receiver of traces, as a collector is one: OTLP over gRPC on a free port of loopback."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class TraceReceiver(TraceServiceServicer):
    """Keeps the spans that it is sent, each with its service's name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[tuple[str, Span]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: ARG002, N802
        with self._lock:
            for part in request.resource_spans:
                names = [a.value.string_value for a in part.resource.attributes if a.key == "service.name"]
                self._spans += [(names[0], span) for scope in part.scope_spans for span in scope.spans]
        return pb.ExportTraceServiceResponse()

    def spans(self) -> list[tuple[str, Span]]:
        """What has come."""
        with self._lock:
            return list(self._spans)

    def close(self) -> None:
        """Listen no more."""
        self._server.stop(None).wait()
