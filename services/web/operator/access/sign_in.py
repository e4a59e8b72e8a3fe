"""Signing in with an API key, and signing out."""

from grpc import aio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.common.infra import log
from services.web.http.forms import read_field
from services.web.operator.access import sessions
from services.web.operator.access.access import COOKIE, OperatorAccess, redirect_to_sign_in
from services.web.operator.access.sessions import SessionStore
from services.web.operator.client import OperatorClient
from services.web.operator.renderer import HOME, OperatorRenderer, SignedInOperator
from services.web.settings import WebSettings

_log = log.get(__name__)


class SignInPages:
    """The page that asks for a key, and the sign-out button."""

    def __init__(
        self,
        *,
        access: OperatorAccess,
        renderer: OperatorRenderer,
        session_store: SessionStore,
        channel: aio.Channel,
        settings: WebSettings,
    ) -> None:
        self._access = access
        self._renderer = renderer
        self._sessions = session_store
        self._channel = channel
        self._secure = (settings.public_url or "").startswith("https:")

    async def sign_in(self, request: Request) -> Response:
        """Show the form (GET), or begin a session (POST)."""
        if request.method != "POST":
            return self._renderer.page(request, None, "sign_in.html", invalid=False)
        await self._access.check_form_token(request, "")
        key = await read_field(request, "key")
        # gRPC metadata must be printable ASCII, and every key is.
        valid = key and key.isascii() and key.isprintable()
        if not valid or await OperatorClient(self._channel, key).role() is None:
            _log.info("sign-in refused")
            return self._renderer.page(request, None, "sign_in.html", status=403, invalid=True)
        _log.info("signed in")
        response = RedirectResponse(HOME, 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(key),
            sessions.MAX_SECONDS,
            path=HOME,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, _request: Request, operator: SignedInOperator) -> Response:
        """End the session on the server, and delete the cookie."""
        self._sessions.end(operator.token)
        response = redirect_to_sign_in()
        response.delete_cookie(COOKIE, path=HOME, secure=self._secure, httponly=True, samesite="strict")
        return response
