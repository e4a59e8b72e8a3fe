"""OperatorService: personal data."""

from collections.abc import AsyncIterator

from imageblur.v1 import operator_service_pb2 as pb

from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.rpc.fields import parse_email


class PersonalDataServicer(OperatorBase):
    """The RPCs of personal data."""

    async def ExportPersonalData(
        self, request: pb.ExportPersonalDataRequest, context: Context
    ) -> AsyncIterator[pb.ExportPersonalDataResponse]:
        """Stream everything stored about an address."""
        address, _ = parse_email(request.email)
        async for record in self.threads.iterate(self.personal_data.export(audit_context(), address)):
            yield pb.ExportPersonalDataResponse(json=record)

    async def ErasePersonalData(
        self, request: pb.ErasePersonalDataRequest, context: Context
    ) -> pb.ErasePersonalDataResponse:
        """Delete everything stored about an address."""
        address, _ = parse_email(request.email)
        count = await self.threads.run(self.personal_data.erase, audit_context(), address)
        return pb.ErasePersonalDataResponse(orders=count)

    async def LiftSuppression(self, request: pb.LiftSuppressionRequest, context: Context) -> pb.LiftSuppressionResponse:
        """Allow a suppressed address to subscribe again."""
        _, key = parse_email(request.email)
        lift = self.subscribers.lift_suppression
        lifted = await self.threads.run(lift, audit_context(), key, restore=request.restore)
        return pb.LiftSuppressionResponse(lifted=lifted)
