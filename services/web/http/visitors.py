"""The network address of the visitor whose request is being answered."""

import ipaddress
from collections.abc import Sequence
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.web.settings import Network

VISITOR: ContextVar[str] = ContextVar("visitor", default="")
"""The address of the visitor of the current request; empty if it is not known."""


class VisitorMiddleware:
    """Sets VISITOR: to the peer, or behind a trusted proxy to whom it names in X-Forwarded-For.

    Args:
        app: The application.
        trusted_proxies: Whose header counts; that of anyone else may be forged.
    """

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            client = scope.get("client")
            VISITOR.set(self._visitor(client[0] if client else "", Headers(scope=scope)))
        await self._app(scope, receive, send)

    def _visitor(self, peer: str, headers: Headers) -> str:
        forwarded = ",".join(headers.getlist("x-forwarded-for")).split(",")
        # Each proxy appends its peer: the last one that no proxy of ours is, is true.
        for hop in reversed([*map(str.strip, forwarded), peer]):
            if hop and not self._is_trusted(hop):
                return hop
        return peer

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)
