"""Mailings: how far they are, the e-mail as it would be now, a test, run, cancel; and a check of the mail server."""

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.web.http.languages import NAMES, choose
from services.web.newsletter.pages import read_fields
from services.web.operator.calls import OPERATOR_JOB_SECONDS
from services.web.operator.gate import Gate, Operator, done

# Its own styles and nothing else: no picture of others that would tell them who looks at it, no script, no way out.
_EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'; sandbox"
)


class Mailings:
    """The pages of mailings."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def list(self, request: Request, operator: Operator) -> Response:
        """The newest, with their progress."""
        calls = operator.calls
        found = await calls(calls.stub.ListMailings, pb.ListMailingsRequest())
        mailings = [(mailing, _state(mailing)) for mailing in found.mailings]
        return self._gate.page(request, operator, "mailings.html", mailings=mailings)

    async def run(self, _request: Request, operator: Operator) -> Response:
        """Send one now."""
        calls = operator.calls
        await calls(calls.stub.RunMailing, pb.RunMailingRequest(), within=OPERATOR_JOB_SECONDS)
        return done("/mailings", "mailing_runs")

    async def cancel(self, request: Request, operator: Operator) -> Response:
        """Send no more of one."""
        calls = operator.calls
        mailing = pb.CancelMailingRequest(mailing_id=request.path_params["mailing_id"])
        await calls(calls.stub.CancelMailing, mailing)
        return done("/mailings", "mailing_cancelled")

    async def preview(self, request: Request, operator: Operator) -> Response:
        """The e-mail as it would be now: its subject, its text, and a frame for its HTML."""
        locale = _locale(request)
        email = await self._email(operator, locale)
        return self._gate.page(request, operator, "preview.html", email=email, locale=locale)

    async def html(self, request: Request, operator: Operator) -> Response:
        """Its HTML, for that frame."""
        email = await self._email(operator, _locale(request))
        return HTMLResponse(email.html, headers={"Cache-Control": "no-store", "Content-Security-Policy": _EMAIL_POLICY})

    async def test(self, request: Request, operator: Operator) -> Response:
        """Send the e-mail to one address."""
        calls, email, locale = operator.calls, *await _recipient(request)
        wanted = pb.SendTestMailingRequest(email=email, locale=locale)
        answer = await calls(calls.stub.SendTestMailing, wanted, within=OPERATOR_JOB_SECONDS)
        return self._gate.page(request, operator, "mail_server.html", answer=answer, concerns=())

    async def check(self, request: Request, operator: Operator) -> Response:
        """Send a short e-mail to one address, and explain what the mail server says."""
        calls, email, locale = operator.calls, *await _recipient(request)
        wanted = pb.CheckMailRequest(email=email, locale=locale)
        answer = await calls(calls.stub.CheckMail, wanted, within=OPERATOR_JOB_SECONDS)
        return self._gate.page(request, operator, "mail_server.html", answer=answer, concerns=answer.warnings)

    @staticmethod
    async def _email(operator: Operator, locale: str) -> pb.PreviewMailingResponse:
        calls = operator.calls
        wanted = pb.PreviewMailingRequest(locale=locale)
        return await calls(calls.stub.PreviewMailing, wanted, within=OPERATOR_JOB_SECONDS)


async def _recipient(request: Request) -> tuple[str, str]:
    fields = await read_fields(request)
    locale = str(fields.get("locale", ""))
    return str(fields.get("email", "")).strip(), locale if locale in NAMES else choose(request).language


def _locale(request: Request) -> str:
    asked = request.query_params.get("language", "")
    return asked if asked in NAMES else choose(request).language


def _state(mailing: operator_pb2.Mailing) -> str:
    return operator_pb2.MailingState.Name(mailing.state).removeprefix("MAILING_STATE_").lower()
