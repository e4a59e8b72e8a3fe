"""Around every call: errors become statuses, and one line of log says how it went."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio
from grpc_status import rpc_status

from services.common import log
from services.common.errors import ImageBlurError
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
        return make(answer(method, behavior), handler.request_deserializer, handler.response_serializer)


def _single(method: str, behavior: Any) -> Any:
    async def call(request: Any, context: Context) -> Any:
        begin = time.monotonic()
        try:
            response = await behavior(request, context)
        except Exception as error:
            await _fail(context, method, begin, error)
        _tell(method, "OK", begin)
        return response

    return call


def _streaming(method: str, behavior: Any) -> Any:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        begin = time.monotonic()
        try:
            async for response in behavior(request, context):
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
