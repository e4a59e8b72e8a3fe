"""An editor for the texts of e-mails, the newsletter's first, with a preview of what is not stored yet."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from imageblur.v1 import operator_newsletter_pb2 as pb
from imageblur_client.errors import FailedPreconditionError, InvalidArgumentError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.common.domain.languages import LANGUAGES
from services.web.enums import short_name
from services.web.http.forms import read_fields
from services.web.http.languages import texts_for
from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.operator.client import OPERATOR_JOB_SECONDS
from services.web.operator.mail.mailings import EMAIL_POLICY
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

NEWSLETTER = "newsletter"
VIEWS = ("light", "dark", "plain")
_PARTS = ("subject.txt", "body.txt", "body.html")
_DARK = re.compile(r"@media\s*\(\s*prefers-color-scheme:\s*dark\s*\)")


class EmailTextPages:
    """The list of texts, and the editor."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the e-mails whose texts can be replaced."""
        emails: dict[str, dict[str, bool]] = {}
        for name, text in (await _texts(operator)).items():
            email, language, part = name.split("/")
            if part in _PARTS:
                changed = emails.setdefault(email, dict.fromkeys(LANGUAGES, False))
                changed[language] |= text.source != pb.EMAIL_TEXT_SOURCE_DEFAULT
        return self._renderer.page(request, operator, "email_texts.html", emails=emails)

    async def newsletter(self, request: Request, operator: SignedInOperator) -> Response:
        """Edit the newsletter's text in both languages."""
        names = [f"{NEWSLETTER}/{language}/text.txt" for language in LANGUAGES]
        return await self._edit(request, operator, email=NEWSLETTER, names=names, action="/operator/newsletter")

    async def edit(self, request: Request, operator: SignedInOperator) -> Response:
        """Edit the texts of an e-mail in a language."""
        email, language = request.path_params["email"], request.path_params["language"]
        names = [f"{email}/{language}/{part}" for part in _PARTS]
        action = f"/operator/texts/{email}/{language}"
        return await self._edit(request, operator, email=email, names=names, action=action)

    async def reset(self, request: Request, operator: SignedInOperator) -> Response:
        """Use the files, or the default texts, again."""
        client = operator.client
        email, language = request.path_params["email"], request.path_params["language"]
        for part in _PARTS:
            reset = pb.ResetEmailTextRequest(name=f"{email}/{language}/{part}")
            await client.call(client.stub.ResetEmailText, reset)
        return redirect_done(f"/texts/{email}/{language}", "text_reset")

    async def preview(self, request: Request, operator: SignedInOperator) -> Response:
        """Return an e-mail for the frame of the editor: with the texts of its form (POST), or the stored ones."""
        email = request.path_params["email"]
        fields = await read_fields(request) if request.method == "POST" else request.query_params
        language, view = str(fields.get("language", "")), str(fields.get("view", ""))
        if view.partition("-")[0] in LANGUAGES:  # a button of both
            language, _, view = view.partition("-")
        language = language if language in LANGUAGES else texts_for(request).language
        texts = {name: _text(str(value)) for name, value in fields.items() if re.fullmatch(r"\w+/\w+/\w+\.\w+", name)}
        try:
            found = await _preview(operator, email, language, texts)
        except (InvalidArgumentError, FailedPreconditionError) as error:
            return _page(f"<pre>{escape(_message(error))}</pre>", status=200)
        if view == "plain":
            return _page(f"<pre>{escape(found.subject)}\n\n{escape(found.text)}</pre>")
        # The operator's browser may prefer the other scheme.
        html = _DARK.sub("@media all" if view == "dark" else "@media not all", found.html)
        return _page(html)

    async def _edit(
        self, request: Request, operator: SignedInOperator, *, email: str, names: Sequence[str], action: str
    ) -> Response:
        current = await _texts(operator)
        if not set(names) <= current.keys():
            raise ProblemError(NOT_FOUND)
        error, written = "", {name: current[name].text for name in names}
        revisions = {name: current[name].revision for name in names}
        if request.method == "POST":
            fields = await read_fields(request)
            written = {name: _text(str(fields.get(name, ""))) for name in names}
            revisions = {name: int(str(fields.get(f"{name}:revision", "0")) or 0) for name in names}
            error = await _save(operator, current, written, revisions)
            if not error:
                return redirect_done(action.removeprefix("/operator"), "text_saved")
        return self._renderer.page(
            request,
            operator,
            "email_text.html",
            status=400 if error else 200,
            email=email,
            names=names,
            texts=current,
            written=written,
            revisions=revisions,
            sources={name: short_name(pb.EmailTextSource, current[name].source) for name in names},
            action=action,
            error=error,
            locales=list(dict.fromkeys(name.split("/")[1] for name in names)),
            views=VIEWS,
        )


async def _texts(operator: SignedInOperator) -> dict[str, pb.EmailText]:
    client = operator.client
    found = await client.call(client.stub.ListEmailTexts, pb.ListEmailTextsRequest(), timeout=OPERATOR_JOB_SECONDS)
    return {text.name: text for text in found.texts}


async def _preview(
    operator: SignedInOperator, email: str, locale: str, texts: Mapping[str, str]
) -> pb.PreviewEmailResponse:
    client = operator.client
    request = pb.PreviewEmailRequest(email=email, locale=locale, texts=texts)
    return await client.call(client.stub.PreviewEmail, request, timeout=OPERATOR_JOB_SECONDS)


async def _save(
    operator: SignedInOperator,
    current: Mapping[str, pb.EmailText],
    written: Mapping[str, str],
    revisions: Mapping[str, int],
) -> str:
    """Store the texts that were changed; return why one is refused."""
    client = operator.client
    for name, text in written.items():
        if text == current[name].text:
            continue
        request = pb.SetEmailTextRequest(name=name, text=text, revision=revisions[name])
        try:
            await client.call(client.stub.SetEmailText, request, timeout=OPERATOR_JOB_SECONDS)
        except (InvalidArgumentError, FailedPreconditionError) as error:
            return _message(error)
    return ""


def _message(error: InvalidArgumentError | FailedPreconditionError) -> str:
    violations = getattr(error, "violations", ())
    return "; ".join(violation.description for violation in violations) or error.message


def _text(value: str) -> str:
    """Return a text as browsers send it, with the line breaks that are stored."""
    return value.replace("\r\n", "\n")


def _page(html: str, status: int = 200) -> HTMLResponse:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": EMAIL_POLICY}
    return HTMLResponse(html, status, headers)
