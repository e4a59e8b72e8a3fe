"""Calls of OperatorService with an operator's own API key, never with the key of the pages."""

from grpc import aio
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client.errors import AccessDeniedError

from services.web.enums import short_name
from services.web.gateway.rpc import RpcCaller

OPERATOR_JOB_SECONDS = 60.0
"""Deadline of what a mailer executes: it has 20 seconds to claim the job, and then talks to the mail server."""


class OperatorClient(RpcCaller):
    """Calls with one key, or without a key."""

    def __init__(self, channel: aio.Channel, key: str | None) -> None:
        super().__init__(key)
        self.stub = OperatorServiceStub(channel)

    async def role(self) -> str | None:
        """Return the caller's role: `admin`, `viewer`, or None without access."""
        try:
            caller = await self.call(self.stub.GetCaller, pb.GetCallerRequest())
        except AccessDeniedError:
            return None
        return short_name(operator_pb2.ApiKeyRole, caller.role)
