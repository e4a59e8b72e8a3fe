"""Signing in with a key, and out."""

from grpc import aio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.common.infra import log
from services.web.http.problems import Problem, Told
from services.web.newsletter.pages import read_fields
from services.web.operator import sessions
from services.web.operator.calls import Calls
from services.web.operator.gate import COOKIE, HOME, Gate, Operator
from services.web.settings import WebSettings

_log = log.get(__name__)


class SigningIn:
    """The page that asks for a key, and the button that forgets it."""

    def __init__(self, gate: Gate, channel: aio.Channel, settings: WebSettings) -> None:
        self._gate = gate
        self._channel = channel
        self._secure = (settings.public_url or "").startswith("https:")

    async def sign_in(self, request: Request) -> Response:
        """The page, and what its button does."""
        if request.method != "POST":
            return self._gate.page(request, None, "sign_in.html", wrong=False)
        if not await self._gate.sent_by_own_page(request, ""):
            raise Told(Problem(403, "bad_request"))
        key = str((await read_fields(request)).get("key", "")).strip()
        # What is not ASCII is no key, and cannot be sent as one.
        if not key or not key.isascii() or not key.isprintable() or await Calls(self._channel, key).role() is None:
            _log.info("sign-in refused")
            return self._gate.page(request, None, "sign_in.html", status=403, wrong=True)
        _log.info("signed in")
        response = RedirectResponse(HOME, 303)
        response.set_cookie(
            COOKIE,
            self._gate.sessions.begin(key),
            sessions.LONGEST_SECONDS,
            path=HOME,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, _request: Request, operator: Operator) -> Response:
        """End the session, here and not in the browser alone."""
        self._gate.sessions.end(operator.token)
        response = self._gate.to_sign_in()
        response.delete_cookie(COOKIE, path=HOME, secure=self._secure, httponly=True, samesite="strict")
        return response
