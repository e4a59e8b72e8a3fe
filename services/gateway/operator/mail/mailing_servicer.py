"""OperatorService: mailings, and checks of the mail server."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.mail import mailings
from services.common.db.mail.mailings import MailingProgress
from services.common.domain.errors import NotFound
from services.common.domain.mail import MailingState
from services.common.infra.messaging.messages import OperatorJobKind
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.mail.mailing_plans import parse_plan
from services.gateway.operator.mail.masked_addresses import mask_addresses
from services.gateway.rpc import paging
from services.gateway.rpc.fields import parse_email, parse_id, parse_locale, parse_request_id
from services.gateway.rpc.timestamps import timestamp

DEFAULT_MAILINGS, MAX_MAILINGS = 20, 100


class MailingServicer(OperatorBase):
    """The RPCs of mailings and of the mail server."""

    async def ListMailings(self, request: pb.ListMailingsRequest, context: Context) -> pb.ListMailingsResponse:
        """List the newest mailings."""
        limit = paging.parse_size(request.page_size, default=DEFAULT_MAILINGS, maximum=MAX_MAILINGS)
        found = await self.read(lambda session: mailings.list_recent(session, limit=limit))
        return pb.ListMailingsResponse(mailings=map(_mailing_message, found))

    async def RunMailing(self, request: pb.RunMailingRequest, context: Context) -> pb.RunMailingResponse:
        """Send the newsletter to all subscribers, now or at a time."""
        request_id = parse_request_id(request.request_id)
        plan = parse_plan(request, datetime.now(UTC))
        answer = await self.jobs.run(
            audit_context(),
            OperatorJobKind.RUN_MAILING,
            plan.given,
            plan=plan.to_json(),
            request_id=str(request_id or ""),
        )
        return pb.RunMailingResponse(mailing_id=answer["mailing_id"])

    async def CancelMailing(self, request: pb.CancelMailingRequest, context: Context) -> pb.CancelMailingResponse:
        """Cancel a mailing."""
        await self._change(request.mailing_id, mailings.cancel_mailing)
        return pb.CancelMailingResponse()

    async def PauseMailing(self, request: news.PauseMailingRequest, context: Context) -> news.PauseMailingResponse:
        """Pause a mailing."""
        await self._change(request.mailing_id, mailings.pause)
        return news.PauseMailingResponse()

    async def ResumeMailing(self, request: news.ResumeMailingRequest, context: Context) -> news.ResumeMailingResponse:
        """Resume a mailing."""
        await self._change(request.mailing_id, mailings.resume)
        return news.ResumeMailingResponse()

    async def PreviewMailing(self, request: pb.PreviewMailingRequest, context: Context) -> pb.PreviewMailingResponse:
        """Render the newsletter."""
        locale = parse_locale(request.locale)
        answer = await self.jobs.run(None, OperatorJobKind.PREVIEW_MAILING, locale=locale)
        return pb.PreviewMailingResponse(subject=answer["subject"], text=answer["text"], html=answer["html"])

    async def SendTestMailing(self, request: pb.SendTestMailingRequest, context: Context) -> pb.SendTestMailingResponse:
        """Send the newsletter to one address."""
        return pb.SendTestMailingResponse(**await self._send(OperatorJobKind.TEST_MAILING, request))

    async def CheckMail(self, request: pb.CheckMailRequest, context: Context) -> pb.CheckMailResponse:
        """Send a short e-mail and explain the mail server's replies."""
        return pb.CheckMailResponse(**await self._send(OperatorJobKind.CHECK_MAIL, request))

    async def _change(self, mailing: str, change: Callable[[Session, UUID], bool]) -> None:
        mailing_id, author = parse_id(mailing, "mailing_id"), audit_context()

        def run(session: Session) -> None:
            if not change(session, mailing_id):
                raise NotFound("unfinished mailing", str(mailing_id))
            audit.record(session, author, f"mailings/{mailing_id}")

        await self.write(run)

    async def _send(
        self, kind: OperatorJobKind, request: pb.SendTestMailingRequest | pb.CheckMailRequest
    ) -> Mapping[str, Any]:
        address, _ = parse_email(request.email)
        return await self.jobs.run(audit_context(), kind, address=address, locale=parse_locale(request.locale))


def _mailing_message(progress: MailingProgress) -> operator_pb2.Mailing:
    mailing, emails = progress.mailing, progress.emails
    held = "SCHEDULED" if mailing.paused_at is None else "PAUSED"
    state = held if mailing.state == MailingState.HELD else mailing.state
    has_window = mailing.window_begin is not None and mailing.window_end is not None
    return operator_pb2.Mailing(
        mailing_id=str(mailing.id),
        period=mailing.period,
        state=operator_pb2.MailingState.Value(f"MAILING_STATE_{state}"),
        recipients=mailing.recipients,
        last_error=mask_addresses(mailing.message),
        due_time=timestamp(mailing.due_at),
        create_time=timestamp(mailing.created_at),
        finish_time=timestamp(mailing.finished_at),
        queued=emails.get("QUEUED", 0),
        sending=emails.get("SENDING", 0),
        sent=emails.get("SENT", 0),
        failed=emails.get("FAILED", 0),
        cancelled=emails.get("CANCELLED", 0),
        local_time=mailing.local_time or "",
        window=news.SendingWindow(begin_minute=mailing.window_begin or 0, end_minute=mailing.window_end or 0)
        if has_window
        else None,
        max_per_hour=mailing.per_hour or 0,
        time_zone=mailing.time_zone or "",
        hard_bounces=progress.reports.get("HARD", 0),
        soft_bounces=progress.reports.get("SOFT", 0),
        complaints=progress.reports.get("COMPLAINT", 0),
    )
