"""Addresses with a slash at the end: the page without it answers."""

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlashes:
    """Removes slashes from the end of a path.

    A redirect, which Starlette sends, would need the scheme and port of a proxy in front of the pages.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"] != "/" and scope["path"].endswith("/"):
            scope = dict(scope, path=scope["path"].rstrip("/") or "/")
        await self._app(scope, receive, send)
