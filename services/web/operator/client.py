"""Calls of OperatorService with an operator's own API key, never with the key of the pages."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from grpc import aio
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client.errors import AccessDeniedError

from services.web.enums import short_name
from services.web.gateway.rpc import RpcCaller, client_errors

_Response = TypeVar("_Response")

OPERATOR_JOB_SECONDS = 60.0
"""Deadline of what a mailer executes: it has 20 seconds to claim the job, and then talks to the mail server."""


class OperatorClient(RpcCaller):
    """Calls with one key, or without a key."""

    def __init__(self, channel: aio.Channel, key: str | None) -> None:
        super().__init__(key)
        self.stub = OperatorServiceStub(channel)

    async def stream(
        self,
        rpc: Callable[..., aio.UnaryStreamCall[Any, _Response]],
        request: object,
        *,
        timeout: float,  # noqa: ASYNC109 - the deadline of gRPC
    ) -> AsyncIterator[_Response]:
        """Yield the responses of an RPC.

        Raises:
            ImageBlurClientError: The call failed.
        """
        with client_errors():
            async for response in rpc(request, timeout=timeout, metadata=self.metadata):
                yield response

    async def role(self) -> str | None:
        """Return the caller's role: `admin`, `viewer`, or None without access."""
        try:
            caller = await self.call(self.stub.GetCaller, pb.GetCallerRequest())
        except AccessDeniedError:
            return None
        return short_name(operator_pb2.ApiKeyRole, caller.role)
