"""A gRPC server on a real socket that does what a test tells it to."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Self

import grpc
from google.protobuf import any_pb2, message_factory
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from imageblur.v1 import blur_service_pb2, subscription_service_pb2
from imageblur.v1.blur_service_pb2 import StreamBlurOrderRequest


@dataclass(frozen=True)
class Failure:
    """Ends a call with a code and google.rpc details, as the gateway does."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...] = ()

    def abort(self, context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        context.abort_with_status(rpc_status.to_status(status))


def failure(code: grpc.StatusCode, message: str, reason: str, *details: Message) -> Failure:
    return Failure(code, message, (error_details_pb2.ErrorInfo(reason=reason, domain="imageblur"), *details))


def bad_request(*violations: tuple[str, str]) -> Failure:
    fields = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in violations]
    detail = error_details_pb2.BadRequest(field_violations=fields)
    return failure(grpc.StatusCode.INVALID_ARGUMENT, "the request is malformed", "INVALID_ARGUMENT", detail)


def unavailable(retry_after: float) -> Failure:
    delay = Duration(nanos=int(retry_after * 1e9) % 10**9, seconds=int(retry_after))
    detail = error_details_pb2.RetryInfo(retry_delay=delay)
    return failure(grpc.StatusCode.UNAVAILABLE, "the server is stopping", "STOPPING", detail)


Step = Message | Failure | Callable[[], object]


class ScriptedServer:
    """Answers the nth call of a method with the nth script; records what it was asked."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.requests: dict[str, list[list[Message]]] = defaultdict(list)
        self.call_ended = threading.Event()
        self.on_request: Callable[[Message], object] | None = None
        """When set, it is given the requests, and none is recorded."""
        self._scripts: dict[str, deque[tuple[bool, tuple[Step, ...]]]] = defaultdict(deque)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        for service in (
            blur_service_pb2.DESCRIPTOR.services_by_name["BlurService"],
            subscription_service_pb2.DESCRIPTOR.services_by_name["SubscriptionService"],
        ):
            # On the wire a unary call is a stream of one.
            handlers: dict[str, grpc.RpcMethodHandler[Message, Message]] = {
                method.name: grpc.stream_stream_rpc_method_handler(
                    self._handler(method.name),
                    request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                    response_serializer=lambda message: message.SerializeToString(),
                )
                for method in service.methods
            }
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def on(self, method: str, *steps: Step, at_once: bool = False) -> None:
        """Scripts the method's next call; at_once: without reading the requests first."""
        self._scripts[method].append((at_once, steps))

    def _handler(self, method: str) -> Callable[[Iterator[Message], grpc.ServicerContext], Iterator[Message]]:
        def answer(requests: Iterator[Message], context: grpc.ServicerContext) -> Iterator[Message]:
            context.add_callback(self.call_ended.set)
            at_once, steps = self._scripts[method].popleft()
            if not at_once:
                taken: list[Message] = []
                self.requests[method].append(taken)
                try:
                    for request in requests:
                        (self.on_request or taken.append)(request)
                except grpc.RpcError:
                    return  # The client broke off.
            for step in steps:
                if isinstance(step, Failure):
                    step.abort(context)
                elif isinstance(step, Message):
                    yield step
                else:
                    step()

        return answer


def sent_order(server: ScriptedServer) -> StreamBlurOrderRequest:
    """The first message of the first order that arrived."""
    first = server.requests["StreamBlurOrder"][0][0]
    assert isinstance(first, StreamBlurOrderRequest)
    return first
