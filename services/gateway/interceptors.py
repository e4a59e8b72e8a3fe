"""Around every call: errors become statuses, and one line of log says how it went."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from grpc_status import rpc_status

from services.common import log
from services.common.errors import ImageBlurError, InvalidArgument, Violation
from services.gateway.errors import to_status

_log = log.get(__name__)
# Polled by load balancers and by the stack: a line each would bury the rest.
_QUIET = ("/grpc.health.", "/grpc.reflection.")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"  # generic only in its stubs
Context = aio.ServicerContext[Any, Any]


class Boundary(aio.ServerInterceptor):
    """Lets no exception through that is not a gRPC status."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or method.startswith(_QUIET):
            return handler
        answer = _streaming if handler.response_streaming else _single
        if handler.request_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.response_streaming
                else grpc.stream_unary_rpc_method_handler
            )
            behavior = handler.stream_stream if handler.response_streaming else handler.stream_unary
        else:
            make = (
                grpc.unary_stream_rpc_method_handler
                if handler.response_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            behavior = handler.unary_stream if handler.response_streaming else handler.unary_unary
        # Messages are parsed inside the boundary, so that one that cannot be is an error like any other.
        parse = _parse_each if handler.request_streaming else _parse
        return make(answer(method, behavior, parse, handler.request_deserializer), None, handler.response_serializer)


def _parse(message: bytes, deserializer: Any) -> Any:
    try:
        return deserializer(message)
    except DecodeError:
        raise InvalidArgument(Violation("message", "cannot be parsed as this method's request")) from None


async def _parse_each(messages: AsyncIterator[bytes], deserializer: Any) -> AsyncIterator[Any]:
    async for message in messages:
        yield _parse(message, deserializer)


def _single(method: str, behavior: Any, parse: Any, deserializer: Any) -> Any:
    async def call(request: Any, context: Context) -> Any:
        begin = time.monotonic()
        try:
            response = await behavior(parse(request, deserializer), context)
        except Exception as error:
            await _fail(context, method, begin, error)
        _tell(method, "OK", begin)
        return response

    return call


def _streaming(method: str, behavior: Any, parse: Any, deserializer: Any) -> Any:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        begin = time.monotonic()
        try:
            async for response in behavior(parse(request, deserializer), context):
                yield response
        except Exception as error:
            await _fail(context, method, begin, error)
        _tell(method, "OK", begin)

    return call


async def _fail(context: Context, method: str, begin: float, error: Exception) -> NoReturn:
    if isinstance(error, aio.AbortError):
        raise error
    status = rpc_status.to_status(to_status(error))
    if isinstance(error, ImageBlurError):
        _tell(method, status.code.name, begin)
    else:
        _log.error("rpc failed", method=method, exc_info=error)
    await context.abort(status.code, status.details or "", status.trailing_metadata or ())


def _tell(method: str, code: str, begin: float) -> None:
    _log.info("rpc", method=method.rpartition("/")[2], code=code, seconds=round(time.monotonic() - begin, 4))
