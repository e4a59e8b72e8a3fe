"""Who gets to see the operator's pages: those whose key the gateway knows, and on a machine of one's own its user."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
from grpc import aio
from imageblur_client.errors import AccessDenied, FailedPrecondition, InvalidArgument, NotFound
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.common import log
from services.web.languages import choose
from services.web.mailing import read_fields
from services.web.operator import sessions
from services.web.operator.calls import Calls
from services.web.operator.lasting import lasting
from services.web.operator.sessions import Sessions
from services.web.pages import Pages
from services.web.problems import NOT_FOUND, Problem, Told
from services.web.settings import WebSettings

COOKIE = "operator"
HOME = "/operator"
SIGN_IN = "/operator/sign-in"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Signs of a proxy: whoever is behind it is not this machine's user."""
_log = log.get(__name__)


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
        self._secure = (settings.public_url or "").startswith("https:")
        self._sessions = Sessions()

    def admit(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A page for operators alone."""

        async def endpoint(request: Request) -> Response:
            operator = await self._who(request)
            if operator is None:
                return self._to_sign_in(request)
            if request.method == "POST" and not await self._sent_by_own_page(request, operator.token):
                raise Told(Problem(403, "bad_request"))
            try:
                return await handler(request, operator)
            except AccessDenied as error:
                if error.code is grpc.StatusCode.UNAUTHENTICATED:  # revoked meanwhile
                    self._sessions.end(operator.token)
                    return self._to_sign_in(request)
                return self._refused(request, operator, 403, "")
            except FailedPrecondition as error:
                return self._refused(request, operator, 409, error.message)
            except InvalidArgument as error:
                words = "; ".join(violation.description for violation in error.violations)
                return self._refused(request, operator, 400, words or error.message)
            except NotFound:
                raise Told(NOT_FOUND) from None

        return endpoint

    def page(
        self, request: Request, operator: Operator | None, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page of the operator's side."""
        return self._pages.page(
            request,
            f"operator/{template}",
            status=status,
            headers={"X-Robots-Tag": "noindex"},
            may_act=operator is not None and operator.may_act,
            operator=operator,
            form_token=self._sessions.form_token(operator.token if operator else ""),
            lasting=lambda seconds: lasting(choose(request), seconds),
            done=request.query_params.get("done", ""),
            done_count=_number(request.query_params.get("n", "")),
            **values,
        )

    async def sign_in(self, request: Request) -> Response:
        """The page that asks for a key, and what its button does."""
        if request.method == "GET":
            return self.page(request, None, "sign_in.html", wrong=False)
        if not await self._sent_by_own_page(request, ""):
            raise Told(Problem(403, "bad_request"))
        key = str((await read_fields(request)).get("key", "")).strip()
        # What is not ASCII is no key, and cannot be sent as one.
        if not key or not key.isascii() or not key.isprintable() or await Calls(self._channel, key).role() is None:
            _log.info("sign-in refused")
            return self.page(request, None, "sign_in.html", status=403, wrong=True)
        _log.info("signed in")
        response = RedirectResponse(HOME, 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(key),
            sessions.LONGEST_SECONDS,
            path=HOME,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, _request: Request, operator: Operator) -> Response:
        """End the session."""
        self._sessions.end(operator.token)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE, path=HOME, secure=self._secure, httponly=True, samesite="strict")
        return response

    async def _who(self, request: Request) -> Operator | None:
        token = request.cookies.get(COOKIE, "")
        key = self._sessions.key(token) if token else None
        if key is None:
            if not self._local or any(name in request.headers for name in _FORWARDED):
                return None
            token = ""
        # Asked each time: a key that was revoked or given another role is so from here on.
        calls = Calls(self._channel, key)
        role = await calls.role()
        if role is None:
            self._sessions.end(token)
            return None
        return Operator(calls, role == "admin", token)

    async def _sent_by_own_page(self, request: Request, token: str) -> bool:
        sent = str((await read_fields(request)).get("form_token", ""))
        return hmac.compare_digest(sent.encode(), self._sessions.form_token(token).encode())

    def _refused(self, request: Request, operator: Operator, status: int, words: str) -> Response:
        return self.page(request, operator, "refused.html", status=status, refused=status, words=words)

    @staticmethod
    def _to_sign_in(_request: Request) -> Response:
        return RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})


def done(page: str, what: str, count: int | None = None) -> Response:
    """Back to a page below `/operator`, which says what was done."""
    number = "" if count is None else f"&n={count}"
    return RedirectResponse(f"{HOME}{page}?done={quote(what)}{number}", 303)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
