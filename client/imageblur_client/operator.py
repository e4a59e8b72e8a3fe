"""The operator's side of a server, for those who hold a key for it."""

from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from imageblur_client.channel import DEFAULT_SERVER, NOTHING, Security, address, open_channel
from imageblur_client.rpc_errors import translated

T = TypeVar("T")

_ANSWER_SECONDS = 120.0
"""Some calls wait for a mail server."""


class Operator:
    """Calls OperatorService: `operator.ask(operator.stub.ListQueues, ListQueuesRequest())`.

    timeout: seconds a call may take; None: 120.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, timeout: float | None = None, security: Security = NOTHING
    ) -> None:
        self.server = address(server)
        self._seconds = _ANSWER_SECONDS if timeout is None else timeout
        self._channel = open_channel(self.server, security)
        self.stub = OperatorServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def ask(self, call: "grpc.UnaryUnaryMultiCallable[Any, T]", request: object) -> T:
        """Make a call. Raises: ImageBlurClientError."""
        with translated(self.server):
            return call(request, timeout=self._seconds)
