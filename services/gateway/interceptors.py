"""Around every call: it is let in or not, errors become statuses, and one line of log says how it went."""

import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio
from grpc_status import rpc_status

from services.common import log
from services.common.errors import ImageBlurError
from services.gateway.admission import Admission
from services.gateway.budget import Reservation
from services.gateway.errors import to_status
from services.gateway.reading import Context, each_message, only_message

_log = log.get(__name__)
# Polled by load balancers and by the stack: a line each would bury the rest.
_QUIET = ("/grpc.health.", "/grpc.reflection.")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"  # generic only in its stubs


class Boundary(aio.ServerInterceptor):
    """Lets in what there is room for, and no exception out that is not a gRPC status.

    Every method is served as a stream of requests. gRPC reads the message of any other before it asks us, and it may be
    large; on the wire the two are the same.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

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
        call = _Call(method.rpartition("/")[2], handler, self._admission)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call.streaming, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(call.single, None, handler.response_serializer)


class _Call:
    """A call of one method."""

    def __init__(self, method: str, handler: Any, admission: Admission) -> None:
        self._method = method
        self._parse = handler.request_deserializer
        self._request_streaming = handler.request_streaming
        self._behavior = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        self._admission = admission
        self._terms = admission.terms(method)

    async def single(self, _requests: object, context: Context) -> Any:
        """Answer with one message."""
        begin = time.monotonic()
        try:
            async with self._admission.admit(self._terms) as reservation:
                # Handed on and not kept: a large message goes as soon as the method is done with it.
                response = await self._behavior(await self._read(context, reservation), context)
        except Exception as error:
            await self._fail(context, begin, error)
        self._tell("OK", begin)
        return response

    async def streaming(self, _requests: object, context: Context) -> None:
        """Answer with a stream of messages."""
        begin = time.monotonic()
        try:
            async with (
                self._admission.admit(self._terms) as reservation,
                contextlib.aclosing(self._behavior(await self._read(context, reservation), context)) as responses,
            ):
                async for response in responses:
                    await context.write(response)
        except Exception as error:
            await self._fail(context, begin, error)
        self._tell("OK", begin)

    async def _read(self, context: Context, reservation: Reservation) -> Any:
        if self._request_streaming:
            return each_message(context, self._parse, self._terms)
        return await only_message(context, self._parse, self._terms, reservation)

    async def _fail(self, context: Context, begin: float, error: Exception) -> NoReturn:
        if isinstance(error, aio.AbortError):
            raise error
        status = rpc_status.to_status(to_status(error))
        if isinstance(error, ImageBlurError):
            self._tell(status.code.name, begin)
        else:
            _log.error("rpc failed", method=self._method, exc_info=error)
        # What the call held, a large message at worst, goes with it, and not when garbage is collected one day.
        traceback.clear_frames(error.__traceback__)
        await context.abort(status.code, status.details or "", status.trailing_metadata or ())

    def _tell(self, code: str, begin: float) -> None:
        _log.info("rpc", method=self._method, code=code, seconds=round(time.monotonic() - begin, 4))
