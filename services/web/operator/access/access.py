"""Access to the operator pages: a key that the gateway knows, or none for the user of a local machine."""

import hmac
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio
from imageblur_client.errors import AccessDeniedError, ImageBlurClientError, InvalidArgumentError, NotFoundError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http import forms
from services.web.http.problems import NOT_FOUND, Problem, ProblemError, operator_status
from services.web.operator.access.sessions import SessionStore
from services.web.operator.client import OperatorClient
from services.web.operator.renderer import OperatorRenderer, SignedInOperator
from services.web.settings import WebSettings

COOKIE = "operator"
SIGN_IN = "/operator/sign-in"
MAX_FIELDS = 200
"""Most fields of a form: a page of rows to tick, and a filter. Only operators may send so many."""
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""A request with one of these comes through a proxy, not from the user of this machine."""

OperatorHandler = Callable[[Request, SignedInOperator], Awaitable[Response]]


class OperatorAccess:
    """Checks sessions, form tokens and roles before a page handles a request."""

    def __init__(
        self, channel: aio.Channel, renderer: OperatorRenderer, sessions: SessionStore, settings: WebSettings
    ) -> None:
        self._channel = channel
        self._renderer = renderer
        self._sessions = sessions
        self._local = settings.is_local

    def require(
        self, handler: OperatorHandler, *, takes_file: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler so that only operators reach it; with `takes_file` its form may have a file."""

        async def endpoint(request: Request) -> Response:
            operator = await self._operator(request)
            if operator is None:
                return redirect_to_sign_in()
            if request.method == "POST":
                if takes_file:
                    # Kept by the request, for the handler, and closed with it.
                    await request.form(max_files=1, max_fields=10, max_part_size=10_000)
                await self.check_form_token(request, operator.token, max_fields=MAX_FIELDS)
            try:
                return await handler(request, operator)
            except AccessDeniedError as error:
                if error.code is grpc.StatusCode.UNAUTHENTICATED:  # the key was revoked meanwhile
                    self._sessions.end(operator.token)
                    return redirect_to_sign_in()
                return self._error_page(request, operator, error)
            except NotFoundError:
                raise ProblemError(NOT_FOUND) from None
            except ImageBlurClientError as error:
                return self._error_page(request, operator, error)

        return endpoint

    async def check_form_token(
        self, request: Request, session_token: str, *, max_fields: int = forms.MAX_FIELDS
    ) -> None:
        """Refuse a form that is not from a page of this session, or has more fields.

        Raises:
            ProblemError: The token is missing or wrong.
        """
        fields = await forms.read_fields(request, max_fields=max_fields)
        sent, expected = str(fields.get("form_token", "")), self._sessions.form_token(session_token)
        if not hmac.compare_digest(sent.encode(), expected.encode()):
            raise ProblemError(Problem(403, "bad_request"))

    async def _operator(self, request: Request) -> SignedInOperator | None:
        token = request.cookies.get(COOKIE, "")
        key = self._sessions.key(token) if token else None
        if key is None:
            if not self._local or any(name in request.headers for name in _PROXY_HEADERS):
                return None
            token = ""
        # With each request, so that a revoked key or a changed role takes effect.
        client = OperatorClient(self._channel, key)
        role = await client.role()
        if role is None:
            self._sessions.end(token)
            return None
        return SignedInOperator(client=client, may_act=role == "admin", token=token)

    def _error_page(self, request: Request, operator: SignedInOperator, error: ImageBlurClientError) -> Response:
        status = operator_status(error)
        if status is None:
            raise error
        message = error.message
        if isinstance(error, InvalidArgumentError) and error.violations:
            message = "; ".join(violation.description for violation in error.violations)
        elif isinstance(error, AccessDeniedError):
            message = ""  # the page explains which role is required
        return self._renderer.page(request, operator, "refused.html", status=status, refused=status, message=message)


def redirect_to_sign_in() -> Response:
    """Redirect to the page that asks for a key."""
    return RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})
