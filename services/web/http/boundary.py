"""What holds for every answer, and who may ask: headers, host names, and no orders from other sites' pages."""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer" for all: forms would be sent with no origin, and could not be told from those of other sites.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_SAFE = {"GET", "HEAD", "OPTIONS"}
# Who can send these knows an order's id or an e-mail's token, which no other site does. Their pages send no referrer
# and therefore no origin either; and mail providers post to the last one on behalf of their readers (RFC 8058).
_HOLDERS = re.compile(r"/orders/[^/]+/[a-z]+|/confirm|/unsubscribe")


class Boundary:
    """Goes around the whole application."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the application answer it."""
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
            refusal = PlainTextResponse("This server does not go by that name (IMAGEBLUR_PUBLIC_URL).", 421)
        elif scope["method"] not in _SAFE and _from_elsewhere(headers, scope["path"]):
            refusal = PlainTextResponse("This was sent by the page of another site.", 403)
        else:
            await self._app(scope, receive, send_with_headers)
            return
        await refusal(scope, receive, send_with_headers)


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _from_elsewhere(headers: Headers, path: str) -> bool:
    """Whether a page of another site has sent this.

    Browsers say so, on encrypted connections and this machine by Sec-Fetch-Site, on others by Origin. Other programs
    send neither; they carry nobody's authority along.
    """
    if site := headers.get("sec-fetch-site"):
        return site not in {"same-origin", "none"} and not _HOLDERS.fullmatch(path)
    origin = headers.get("origin")
    if origin is None or _HOLDERS.fullmatch(path):
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
