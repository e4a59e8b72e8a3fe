"""OperatorService as its pages call it: with the key of whoever looks at them, never with the pages' own."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from grpc import aio
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client.errors import AccessDeniedError

from services.web.gateway import mapped_errors

ANSWER_SECONDS = 15.0
OPERATOR_JOB_SECONDS = 60.0
"""For what a mailer does: it is given 20 seconds to take it up, and then talks to the mail server."""
_Answer = TypeVar("_Answer")


class Calls:
    """Calls with one key, or with none."""

    def __init__(self, channel: aio.Channel, key: str | None) -> None:
        self.stub = OperatorServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()

    async def __call__(
        self,
        rpc: Callable[..., aio.UnaryUnaryCall[Any, _Answer]],
        request: object,
        *,
        within: float = ANSWER_SECONDS,
    ) -> _Answer:
        """What an RPC answers.

        Raises:
            ImageBlurClientError: Something else came of it.
        """
        with mapped_errors():
            return await rpc(request, timeout=within, metadata=self._metadata)

    async def role(self) -> str | None:
        """What the caller may do here: `admin`, `viewer`, or None for nothing at all."""
        try:
            await self(self.stub.ListQueues, pb.ListQueuesRequest())
        except AccessDeniedError:
            return None
        try:
            await self(self.stub.ListApiKeys, pb.ListApiKeysRequest(page_size=1))
        except AccessDeniedError as error:
            if error.code is grpc.StatusCode.UNAUTHENTICATED:
                return None
            return "viewer"
        return "admin"
