"""Around every call: it is let in or not, errors become statuses, and one line of log says how it went."""

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
from services.gateway.rpc.access import Access
from services.gateway.rpc.active_calls import UnderWay
from services.gateway.rpc.admission import Admission
from services.gateway.rpc.byte_budget import Reservation
from services.gateway.rpc.call_log import Account
from services.gateway.rpc.callers import CALL, Call
from services.gateway.rpc.errors import to_status
from services.gateway.rpc.message_reader import Context, each_message, only_message

_log = log.get(__name__)
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"  # generic only in its stubs


class Boundary(aio.ServerInterceptor):
    """Lets in what there is room for, and no exception out that is not a gRPC status.

    Every method is served as a stream of requests. gRPC reads the message of any other before it asks us, and it may be
    large; on the wire the two are the same.
    """

    def __init__(self, admission: Admission, access: Access) -> None:
        self._admission = admission
        self._access = access
        self._under_way = UnderWay()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        call = _Call(handler_call_details, handler, self._admission, self._access, self._under_way)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call.streaming, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(call.single, None, handler.response_serializer)

    async def stop(self, grace_seconds: float) -> None:
        """Let no call in any more; those under way get so long, then they are told to try elsewhere.

        gRPC itself would end them as CANCELLED, which tells a client that it was not meant to succeed.
        """
        await self._under_way.stop(grace_seconds)


class _Call:
    """A call of one method."""

    def __init__(
        self,
        details: grpc.HandlerCallDetails,
        handler: Any,
        admission: Admission,
        access: Access,
        under_way: UnderWay,
    ) -> None:
        method = str(details.method)
        self._path = method
        self._metadata = details.invocation_metadata or ()
        self._access = access
        self._method = method.rpartition("/")[2]
        self._account = Account(method)
        self._parse = handler.request_deserializer
        self._request_streaming = handler.request_streaming
        self._behavior = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        self._admission = admission
        self._terms = admission.terms(self._method)
        self._under_way = under_way

    async def single(self, _requests: object, context: Context) -> Any:
        """Answer with one message."""
        try:
            with self._under_way.one():
                self._identify(context)
                async with self._admission.admit(self._terms) as reservation:
                    # Handed on and not kept: a large message goes as soon as the method is done with it.
                    response = await self._behavior(await self._read(context, reservation), context)
        except asyncio.CancelledError:
            self._account.close("CANCELLED")
            raise
        except Exception as error:
            await self._fail(context, error)
        self._account.saw(response)
        self._account.close("OK")
        return response

    async def streaming(self, _requests: object, context: Context) -> None:
        """Answer with a stream of messages."""
        try:
            with self._under_way.one():
                self._identify(context)
                async with self._admission.admit(self._terms) as reservation:
                    await self._respond(self._behavior(await self._read(context, reservation), context), context)
        except asyncio.CancelledError:
            self._account.close("CANCELLED")
            raise
        except Exception as error:
            await self._fail(context, error)
        self._account.close("OK")

    def _identify(self, context: Context) -> None:
        # First: whom we do not know takes no place, and nothing of the message is read.
        caller = self._access.caller(self._path, self._metadata)
        CALL.set(Call(caller, context.peer()))

    async def _respond(self, responses: Any, context: Context) -> None:
        if inspect.isawaitable(responses):  # it writes to the context itself
            await responses
            return
        async with contextlib.aclosing(responses):
            async for response in responses:
                await context.write(response)

    async def _read(self, context: Context, reservation: Reservation) -> Any:
        if self._request_streaming:
            return each_message(context, self._parse, self._terms)
        message = await only_message(context, self._parse, self._terms, reservation)
        self._account.saw(message)
        return message

    async def _fail(self, context: Context, error: Exception) -> NoReturn:
        if isinstance(error, aio.AbortError):
            # Health and reflection answer so by themselves. The code may be a number, whatever the stubs say.
            code: Any = context.code()
            names = (known.name for known in grpc.StatusCode if code in {known, known.value[0]})
            self._account.close(next(names, "UNKNOWN"))
            raise error
        status = rpc_status.to_status(to_status(error))
        self._account.close(status.code.name)
        if not isinstance(error, ImageBlurError):
            _log.error("rpc failed", method=self._method, exc_info=error)
        # What the call held, a large message at worst, goes with it, and not when garbage is collected one day.
        traceback.clear_frames(error.__traceback__)
        await context.abort(status.code, status.details or "", status.trailing_metadata or ())
