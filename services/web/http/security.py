"""Security headers on every response; requests with foreign host names and cross-site writes are refused."""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.infra import log
from services.web.http.cors import is_api

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer" everywhere: forms would be sent without an origin, like those of other sites.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_log = log.get(__name__)

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# These need an order's id or the token of an e-mail, which other sites do not know. Their pages send no referrer and
# therefore no origin; mail providers post to /unsubscribe on behalf of their users (RFC 8058).
_CAPABILITY_PATHS = re.compile(r"/orders/[^/]+/[a-z]+(/[^/]+)?|/confirm|/receive|/unsubscribe")


class SecurityMiddleware:
    """Wraps the whole application.

    Args:
        app: The application.
        hosts: Host names that requests may use; None: any.
        public_url: URL of the pages for browsers; a proxy may pass another host on, or none with its port.
        api_origins: Origins of other sites whose pages may call the HTTP interface.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: frozenset[str] | None,
        public_url: str | None = None,
        api_origins: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._public_origin = _origin(public_url) if public_url else None
        self._api_origins = api_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
            await send(message)

        if self._hosts is not None and _host(headers) not in self._hosts:
            refusal = PlainTextResponse(
                "Unknown host name. Set IMAGEBLUR_PUBLIC_URL to the public address of this server.", 421
            )
        elif scope["method"] not in _SAFE_METHODS and self._is_cross_site(headers, scope["path"]):
            # Not the origin itself: it is a text of the client.
            _log.warning("request refused: its Origin is neither its Host nor IMAGEBLUR_PUBLIC_URL")
            refusal = PlainTextResponse("Cross-site request refused. Open this site and submit the form there.", 403)
        else:
            await self._app(scope, receive, send_with_headers)
            return
        await refusal(scope, receive, send_with_headers)

    def _is_cross_site(self, headers: Headers, path: str) -> bool:
        """Return whether a page of another site sent this request.

        Browsers send Sec-Fetch-Site over HTTPS and to loopback, and Origin elsewhere. Other programs send neither, and
        carry no credentials of a visitor.
        """
        if is_api(path) and headers.get("origin") in self._api_origins:
            return False
        if site := headers.get("sec-fetch-site"):
            return site not in {"same-origin", "none"} and not _CAPABILITY_PATHS.fullmatch(path)
        origin = headers.get("origin")
        if origin is None or _CAPABILITY_PATHS.fullmatch(path) or _origin(origin) == self._public_origin:
            return False
        return _origin(origin).partition("://")[2] != headers.get("host", "").lower()


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _origin(url: str) -> str:
    """Return the origin of a URL as browsers send it: without the default port."""
    try:
        parts = urlsplit(url.lower())
        default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        return f"{parts.scheme}://{parts.netloc.removesuffix(default) if default else parts.netloc}"
    except ValueError:
        return ""
