"""The interceptor of every call: authorizes and admits it, maps errors to statuses, logs the outcome."""

import asyncio
import contextlib
import inspect
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio
from grpc_status import rpc_status

from services.common.domain.errors import ImageBlurError
from services.common.infra import log
from services.gateway.rpc.access import AccessControl
from services.gateway.rpc.call_log import CallLog
from services.gateway.rpc.callers import CURRENT_CALL, UNAUTHORIZED, CurrentCall
from services.gateway.rpc.errors import to_status
from services.gateway.rpc.limits.active_calls import ActiveCalls
from services.gateway.rpc.limits.admission import Admission, Admitted
from services.gateway.rpc.limits.byte_budget import CURRENT_RESERVATION
from services.gateway.rpc.limits.resets import HeldCalls
from services.gateway.rpc.messages.message_parser import MessageParser
from services.gateway.rpc.messages.message_reader import Context, read_messages, read_only_message

_log = log.get(__name__)
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"  # generic only in its stubs


class CallInterceptor(aio.ServerInterceptor):
    """Wraps the handler of every call.

    Every method is served as a stream of requests: gRPC would read the message of a unary request, which may be large,
    before it calls the handler. On the wire the two are the same.
    """

    def __init__(self, admission: Admission, access: AccessControl, parser: MessageParser) -> None:
        self._admission = admission
        self._access = access
        self._parser = parser
        self._active_calls, self._held = ActiveCalls(), HeldCalls()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        call = _InterceptedCall(
            handler_call_details,
            handler,
            admission=self._admission,
            access=self._access,
            parser=self._parser,
            active_calls=self._active_calls,
            held=self._held,
        )
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call.stream, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(call.unary, None, handler.response_serializer)

    async def settle(self, longest_seconds: float) -> None:
        """Return once the calls that have arrived have begun, at most after this time."""
        await self._active_calls.settle(longest_seconds)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls; end active ones as UNAVAILABLE after the grace period.

        gRPC itself would end them as CANCELLED, and clients do not retry those.
        """
        await self._active_calls.stop(grace_seconds)
        self._held.stop()


class _InterceptedCall:
    def __init__(
        self,
        details: grpc.HandlerCallDetails,
        handler: Any,
        *,
        admission: Admission,
        access: AccessControl,
        parser: MessageParser,
        active_calls: ActiveCalls,
        held: HeldCalls,
    ) -> None:
        self._path = str(details.method)
        self._method = self._path.rpartition("/")[2]
        self._metadata = details.invocation_metadata or ()
        self._access = access
        self._parser = parser
        self._call_log = CallLog(self._path)
        self._parse = handler.request_deserializer
        self._request_streaming = handler.request_streaming
        self._behavior = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        self._admission = admission
        self._policy = admission.policy(self._method)
        self._active_calls, self._held = active_calls, held

    async def unary(self, _requests: object, context: Context) -> Any:
        """Return one response."""
        try:
            with self._active_calls.track():
                refusal = self._authorize(context)
                async with self._admission.admit(self._policy, refusal) as admitted:
                    CURRENT_RESERVATION.set(admitted.reservation)
                    # Passed on without a reference: a large message is freed as soon as the method is done with it.
                    response = await self._behavior(await self._read(context, admitted), context)
        except asyncio.CancelledError:
            await self._held.hold(self._call_log.finish("CANCELLED"))
            raise
        except Exception as error:
            await self._abort(context, error)
        self._call_log.note_order(response)
        self._call_log.finish("OK")
        return response

    async def stream(self, _requests: object, context: Context) -> None:
        """Write a stream of responses."""
        try:
            with self._active_calls.track():
                refusal = self._authorize(context)
                async with self._admission.admit(self._policy, refusal) as admitted:
                    await _write(self._behavior(await self._read(context, admitted), context), context)
        except asyncio.CancelledError:
            await self._held.hold(self._call_log.finish("CANCELLED"))
            raise
        except Exception as error:
            await self._abort(context, error)
        self._call_log.finish("OK")

    def _authorize(self, context: Context) -> ImageBlurError | None:
        """Set the current call; return the error if it is not authorized, for its turn."""
        # First, so that an unauthenticated call takes no slot and nothing of its message is read.
        peer = context.peer()
        try:
            caller, refusal = self._access.authorize(self._path, self._metadata, peer), None
        except ImageBlurError as error:
            caller, refusal = UNAUTHORIZED, error
        visitor = self._access.visitors.address(self._metadata)
        CURRENT_CALL.set(CurrentCall(caller, peer, self._method, visitor))
        return refusal

    async def _read(self, context: Context, admitted: Admitted) -> Any:
        if self._request_streaming:
            return read_messages(context, self._parser, self._parse, self._policy)
        message = await read_only_message(context, self._parser, self._parse, self._policy, admitted.reservation)
        self._call_log.note_order(message)
        if self._policy.keeps_turn:
            admitted.turn.resume()
        return message

    async def _abort(self, context: Context, error: Exception) -> NoReturn:
        if isinstance(error, aio.AbortError):
            # Health and reflection abort calls themselves. The code may be a number, whatever the stubs declare.
            code: Any = context.code()
            names = (known.name for known in grpc.StatusCode if code in {known, known.value[0]})
            self._call_log.finish(next(names, "UNKNOWN"))
            raise error
        status = rpc_status.to_status(to_status(error))
        self._call_log.finish(status.code.name)
        if not isinstance(error, ImageBlurError):
            _log.error("rpc failed", method=self._method, exc_info=error)
        # Frees what the call held, a large message at worst, now instead of at the next garbage collection.
        traceback.clear_frames(error.__traceback__)
        await context.abort(status.code, status.details or "", status.trailing_metadata or ())


async def _write(responses: Any, context: Context) -> None:
    if inspect.isawaitable(responses):  # the method writes to the context itself
        await responses
        return
    async with contextlib.aclosing(responses):
        async for response in responses:
            await context.write(response)
