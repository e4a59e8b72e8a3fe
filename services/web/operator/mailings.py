"""Mailings: progress, preview, test, run and cancel; and a check of the mail server."""

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.web.enums import short_name
from services.web.http.forms import read_fields
from services.web.http.languages import LANGUAGES, texts_for
from services.web.operator.client import OPERATOR_JOB_SECONDS
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

# Allows inline styles and images only: no remote images that track the operator, no scripts, no links.
_HTML_POLICY = (
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
        found = await client.call(client.stub.ListMailings, pb.ListMailingsRequest())
        mailings = [(mailing, short_name(operator_pb2.MailingState, mailing.state)) for mailing in found.mailings]
        return self._renderer.page(request, operator, "mailings.html", mailings=mailings)

    async def run(self, _request: Request, operator: SignedInOperator) -> Response:
        """Start a mailing."""
        client = operator.client
        await client.call(client.stub.RunMailing, pb.RunMailingRequest(), timeout=OPERATOR_JOB_SECONDS)
        return redirect_done("/mailings", "mailing_started")

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
        return HTMLResponse(email.html, headers={"Cache-Control": "no-store", "Content-Security-Policy": _HTML_POLICY})

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


async def _recipient(request: Request) -> tuple[str, str]:
    fields = await read_fields(request)
    return str(fields.get("email", "")).strip(), _locale(request, str(fields.get("locale", "")))


def _preview_locale(request: Request) -> str:
    return _locale(request, request.query_params.get("language", ""))


def _locale(request: Request, requested: str) -> str:
    return requested if requested in LANGUAGES else texts_for(request).language
