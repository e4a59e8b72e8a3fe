"""Who gets to see the operator's pages: those whose key the gateway knows, and on a machine of one's own its user."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
from grpc import aio
from imageblur_client.errors import AccessDeniedError, FailedPreconditionError, InvalidArgumentError, NotFoundError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.languages import choose
from services.web.http.problems import NOT_FOUND, Problem, Told
from services.web.http.templates import Pages
from services.web.newsletter.pages import read_fields
from services.web.operator.calls import Calls
from services.web.operator.durations import lasting
from services.web.operator.sessions import Sessions
from services.web.settings import WebSettings

COOKIE = "operator"
HOME = "/operator"
SIGN_IN = "/operator/sign-in"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Signs of a proxy: whoever is behind it is not this machine's user."""


@dataclass(frozen=True)
class Operator:
    """Somebody who may look, and perhaps act."""

    calls: Calls
    may_act: bool
    token: str
    """Of the session; empty for this machine's user, who needs none."""


Handler = Callable[[Request, Operator], Awaitable[Response]]


class Gate:
    """Lets operators in, and renders pages for them."""

    def __init__(self, channel: aio.Channel, pages: Pages, settings: WebSettings) -> None:
        self._channel = channel
        self._pages = pages
        self._local = settings.is_local
        self.sessions = Sessions()

    def admit(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A page for operators alone."""

        async def endpoint(request: Request) -> Response:
            operator = await self._who(request)
            if operator is None:
                return self.to_sign_in()
            if request.method == "POST" and not await self.sent_by_own_page(request, operator.token):
                raise Told(Problem(403, "bad_request"))
            try:
                return await handler(request, operator)
            except AccessDeniedError as error:
                if error.code is grpc.StatusCode.UNAUTHENTICATED:  # revoked meanwhile
                    self.sessions.end(operator.token)
                    return self.to_sign_in()
                return self._refused(request, operator, 403, "")
            except FailedPreconditionError as error:
                return self._refused(request, operator, 409, error.message)
            except InvalidArgumentError as error:
                words = "; ".join(violation.description for violation in error.violations)
                return self._refused(request, operator, 400, words or error.message)
            except NotFoundError:
                raise Told(NOT_FOUND) from None

        return endpoint

    def page(
        self, request: Request, operator: Operator | None, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page of the operator's side."""
        if request.method == "POST":
            values["address"] = HOME  # where a change of language leads back to: what was posted cannot be asked for
        return self._pages.page(
            request,
            f"operator/{template}",
            status=status,
            headers={"X-Robots-Tag": "noindex"},
            may_act=operator is not None and operator.may_act,
            operator=operator,
            form_token=self.sessions.form_token(operator.token if operator else ""),
            lasting=lambda seconds: lasting(choose(request), seconds),
            done=request.query_params.get("done", ""),
            done_count=_number(request.query_params.get("n", "")),
            **values,
        )

    def to_sign_in(self) -> Response:
        """For whoever is not known."""
        return RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})

    async def sent_by_own_page(self, request: Request, token: str) -> bool:
        """Whether a form is one of ours, of the session of this token."""
        sent = str((await read_fields(request)).get("form_token", ""))
        return hmac.compare_digest(sent.encode(), self.sessions.form_token(token).encode())

    async def _who(self, request: Request) -> Operator | None:
        token = request.cookies.get(COOKIE, "")
        key = self.sessions.key(token) if token else None
        if key is None:
            if not self._local or any(name in request.headers for name in _FORWARDED):
                return None
            token = ""
        # Asked each time: a key that was revoked or given another role is so from here on.
        calls = Calls(self._channel, key)
        role = await calls.role()
        if role is None:
            self.sessions.end(token)
            return None
        return Operator(calls, role == "admin", token)

    def _refused(self, request: Request, operator: Operator, status: int, words: str) -> Response:
        return self.page(request, operator, "refused.html", status=status, refused=status, words=words)


def done(page: str, what: str, count: int | None = None) -> Response:
    """Back to a page below `/operator`, which says what was done."""
    number = "" if count is None else f"&n={count}"
    return RedirectResponse(f"{HOME}{page}?done={quote(what)}{number}", 303)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
