"""A client of OperatorService, for holders of a viewer or admin key."""

from collections.abc import Iterator
from typing import Any, Self, TypeVar

import grpc
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from imageblur_client.channel import DEFAULT_SERVER, NO_SECURITY, Security, address, open_channel
from imageblur_client.rpc_errors import mapped_errors

T = TypeVar("T")

_TIMEOUT_SECONDS = 120.0
"""Some calls wait for the mail server."""


class OperatorApi:
    """Calls OperatorService: `operator.call(operator.stub.ListQueues, ListQueuesRequest())`.

    Args:
        server: Address of the server.
        timeout: Timeout of a call in seconds; None: 120.
        security: API key and TLS.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, timeout: float | None = None, security: Security = NO_SECURITY
    ) -> None:
        self.server = address(server)
        self._seconds = _TIMEOUT_SECONDS if timeout is None else timeout
        self._channel = open_channel(self.server, security)
        self.stub = OperatorServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Any, T] | grpc.StreamUnaryMultiCallable[Any, T]",
        request: Any,
        *,
        seconds: float | None = None,
    ) -> T:
        """Call a method and return its response; `seconds`: a timeout other than the usual one.

        Raises:
            ImageBlurClientError: The call failed.
        """
        with mapped_errors(self.server):
            return method(request, timeout=seconds or self._seconds)

    def stream(
        self, method: "grpc.UnaryStreamMultiCallable[Any, T]", request: object, *, seconds: float | None = None
    ) -> Iterator[T]:
        """Call a method and yield its responses; `seconds`: a timeout other than the usual one.

        Raises:
            ImageBlurClientError: The call failed.
        """
        with mapped_errors(self.server):
            yield from method(request, timeout=seconds or self._seconds)
