"""Mailings: progress, preview, test, run and cancel; and a check of the mail server."""

import asyncio
import re
from collections.abc import Mapping
from uuid import uuid4

from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.common.domain.languages import LANGUAGES
from services.web.enums import short_name
from services.web.http.forms import read_fields
from services.web.http.languages import texts_for
from services.web.http.time_zones import to_timestamp
from services.web.operator.client import OPERATOR_JOB_SECONDS
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

# Allows inline styles and images only: no remote images that track the operator, no scripts, no links.
EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'; sandbox"
)


class MailingPages:
    """The list of mailings, and what operators do with them."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the newest mailings with their progress."""
        client = operator.client
        found, counts = await asyncio.gather(
            client.call(client.stub.ListMailings, pb.ListMailingsRequest()),
            client.call(client.stub.CountSubscribers, news.CountSubscribersRequest()),
        )
        mailings = [(mailing, short_name(operator_pb2.MailingState, mailing.state)) for mailing in found.mailings]
        return self._renderer.page(
            request, operator, "mailings.html", mailings=mailings, counts=counts, request_id=uuid4()
        )

    async def run(self, request: Request, operator: SignedInOperator) -> Response:
        """Send the newsletter to all, now or at a time."""
        client, fields = operator.client, await read_fields(request)
        run = _run_request({name: str(value).strip() for name, value in fields.items()})
        if run is None:
            return redirect_done("/mailings", "mailing_time")
        await client.call(client.stub.RunMailing, run, timeout=OPERATOR_JOB_SECONDS)
        planned = run.local_time or run.HasField("send_time")
        return redirect_done("/mailings", "mailing_planned" if planned else "mailing_started")

    async def pause(self, request: Request, operator: SignedInOperator) -> Response:
        """Pause a mailing."""
        client = operator.client
        mailing = news.PauseMailingRequest(mailing_id=request.path_params["mailing_id"])
        await client.call(client.stub.PauseMailing, mailing)
        return redirect_done("/mailings", "mailing_paused")

    async def resume(self, request: Request, operator: SignedInOperator) -> Response:
        """Resume a mailing."""
        client = operator.client
        mailing = news.ResumeMailingRequest(mailing_id=request.path_params["mailing_id"])
        await client.call(client.stub.ResumeMailing, mailing)
        return redirect_done("/mailings", "mailing_resumed")

    async def cancel(self, request: Request, operator: SignedInOperator) -> Response:
        """Cancel a mailing."""
        client = operator.client
        mailing = pb.CancelMailingRequest(mailing_id=request.path_params["mailing_id"])
        await client.call(client.stub.CancelMailing, mailing)
        return redirect_done("/mailings", "mailing_cancelled")

    async def preview(self, request: Request, operator: SignedInOperator) -> Response:
        """Show the newsletter as it would be sent now: subject, text, and a frame for the HTML."""
        locale = _preview_locale(request)
        email = await self._preview(operator, locale)
        return self._renderer.page(request, operator, "mailing_preview.html", email=email, locale=locale)

    async def html(self, request: Request, operator: SignedInOperator) -> Response:
        """Return the HTML of the newsletter, for the frame of the preview."""
        email = await self._preview(operator, _preview_locale(request))
        return HTMLResponse(email.html, headers={"Cache-Control": "no-store", "Content-Security-Policy": EMAIL_POLICY})

    async def test(self, request: Request, operator: SignedInOperator) -> Response:
        """Send the newsletter to one address."""
        client, address, locale = operator.client, *await _recipient(request)
        test = pb.SendTestMailingRequest(email=address, locale=locale)
        result = await client.call(client.stub.SendTestMailing, test, timeout=OPERATOR_JOB_SECONDS)
        return self._renderer.page(request, operator, "mail_check.html", result=result, warnings=())

    async def check(self, request: Request, operator: SignedInOperator) -> Response:
        """Send a short message to one address, and show the mail server's response with warnings."""
        client, address, locale = operator.client, *await _recipient(request)
        check = pb.CheckMailRequest(email=address, locale=locale)
        result = await client.call(client.stub.CheckMail, check, timeout=OPERATOR_JOB_SECONDS)
        return self._renderer.page(request, operator, "mail_check.html", result=result, warnings=result.warnings)

    @staticmethod
    async def _preview(operator: SignedInOperator, locale: str) -> pb.PreviewMailingResponse:
        client = operator.client
        preview = pb.PreviewMailingRequest(locale=locale)
        return await client.call(client.stub.PreviewMailing, preview, timeout=OPERATOR_JOB_SECONDS)


def _run_request(fields: Mapping[str, str]) -> pb.RunMailingRequest | None:
    """Return the request of a form; None if a time is missing or none."""
    run = pb.RunMailingRequest(request_id=fields.get("request_id", ""))
    match fields.get("when"):
        case "at":
            if (time := to_timestamp(fields.get("time", ""), fields.get("zone", ""))) is None:
                return None
            run.send_time.CopyFrom(time)
        case "local":
            run.local_time = fields.get("time", "")
            if not run.local_time:
                return None
    begin, end = (_minute(fields.get(name, "")) for name in ("from", "until"))
    if begin is not None and end is not None:
        run.window.CopyFrom(news.SendingWindow(begin_minute=begin, end_minute=end))
    rate = fields.get("per_hour", "")
    run.max_per_hour = int(rate) if rate.isascii() and rate.isdecimal() and len(rate) < 9 else 0
    return run


def _minute(text: str) -> int | None:
    """Return the minute of the day of a time such as `09:30`."""
    match = re.fullmatch(r"(\d\d):(\d\d)(:\d\d)?", text)
    return 60 * int(match[1]) + int(match[2]) if match else None


async def _recipient(request: Request) -> tuple[str, str]:
    fields = await read_fields(request)
    return str(fields.get("email", "")).strip(), _locale(request, str(fields.get("locale", "")))


def _preview_locale(request: Request) -> str:
    return _locale(request, request.query_params.get("language", ""))


def _locale(request: Request, requested: str) -> str:
    return requested if requested in LANGUAGES else texts_for(request).language
