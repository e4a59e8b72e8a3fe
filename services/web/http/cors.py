"""CORS for the HTTP interface: pages of other sites may call it only if the operator allows their origin.

Without that, any page that a visitor opens could use a server that is reachable from their browser alone.
"""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
_RESPONSE_HEADERS = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
    "X-ImageBlur-Check",
    "X-ImageBlur-Findings",
)
_ONE_DAY = 86_400


def is_api(path: str) -> bool:
    """Return whether a path belongs to the HTTP interface."""
    return path.startswith("/v1/") or path.rstrip("/") == "/blur"


class ApiCors:
    """Answers preflight requests, and adds the headers for allowed origins. Cookies are never allowed.

    Args:
        app: The application.
        origins: The origins, such as `https://app.example.org`.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
            max_age=_ONE_DAY,
        )
        self._has_origins = bool(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        cors = self._has_origins and scope["type"] == "http" and is_api(scope["path"])
        await (self._with_cors if cors else self._app)(scope, receive, send)
