"""OperatorService: mailings, the mail server, and what is kept of people."""

from collections.abc import Mapping
from typing import Any

from imageblur.v1 import operator_service_pb2 as pb

from services.common.infra.messages import OperatorJobKind
from services.gateway.operator import responses
from services.gateway.operator.calls import Context, OperatorCalls, audit_context
from services.gateway.operator.mail import OperatorMail
from services.gateway.orders.requests import parse_email, parse_id, parse_locale
from services.gateway.rpc.paging import parse_size

DEFAULT_MAILINGS, MOST_MAILINGS = 20, 100


class MailCalls(OperatorCalls):
    """Of administrators, but for the looks."""

    mail: OperatorMail

    async def ListMailings(self, request: pb.ListMailingsRequest, context: Context) -> pb.ListMailingsResponse:
        """The newest mailings."""
        limit = min(parse_size(request.page_size or DEFAULT_MAILINGS), MOST_MAILINGS)
        found = await self.offload(self.mail.mailings, limit)
        return pb.ListMailingsResponse(mailings=map(responses.mailing_message, found))

    async def RunMailing(self, request: pb.RunMailingRequest, context: Context) -> pb.RunMailingResponse:
        """Send a mailing now."""
        answer = await self.mail.operator_job(audit_context("RunMailing"), OperatorJobKind.RUN_MAILING)
        return pb.RunMailingResponse(mailing_id=answer["mailing_id"])

    async def CancelMailing(self, request: pb.CancelMailingRequest, context: Context) -> pb.CancelMailingResponse:
        """Send no more of a mailing."""
        await self.offload(self.mail.cancel, audit_context("CancelMailing"), parse_id(request.mailing_id, "mailing_id"))
        return pb.CancelMailingResponse()

    async def PreviewMailing(self, request: pb.PreviewMailingRequest, context: Context) -> pb.PreviewMailingResponse:
        """The mailing's e-mail."""
        answer = await self.mail.operator_job(
            None, OperatorJobKind.PREVIEW_MAILING, locale=parse_locale(request.locale)
        )
        return pb.PreviewMailingResponse(subject=answer["subject"], text=answer["text"], html=answer["html"])

    async def SendTestMailing(self, request: pb.SendTestMailingRequest, context: Context) -> pb.SendTestMailingResponse:
        """Send that e-mail to one address."""
        answer = await self._send(OperatorJobKind.TEST_MAILING, "SendTestMailing", request)
        return pb.SendTestMailingResponse(**answer)

    async def CheckMail(self, request: pb.CheckMailRequest, context: Context) -> pb.CheckMailResponse:
        """Send a short e-mail, and explain what the server says."""
        return pb.CheckMailResponse(**await self._send(OperatorJobKind.CHECK_MAIL, "CheckMail", request))

    async def ExportPersonalData(
        self, request: pb.ExportPersonalDataRequest, context: Context
    ) -> pb.ExportPersonalDataResponse:
        """All that is kept of an address."""
        address, _ = parse_email(request.email)
        return pb.ExportPersonalDataResponse(
            json=await self.offload(self.mail.export, audit_context("ExportPersonalData"), address)
        )

    async def ErasePersonalData(
        self, request: pb.ErasePersonalDataRequest, context: Context
    ) -> pb.ErasePersonalDataResponse:
        """Delete what is kept of an address."""
        address, _ = parse_email(request.email)
        count = await self.offload(self.mail.erase, audit_context("ErasePersonalData"), address)
        return pb.ErasePersonalDataResponse(orders=count)

    async def _send(
        self, kind: OperatorJobKind, action: str, request: pb.SendTestMailingRequest | pb.CheckMailRequest
    ) -> Mapping[str, Any]:
        address, _ = parse_email(request.email)
        return await self.mail.operator_job(
            audit_context(action), kind, address=address, locale=parse_locale(request.locale)
        )
