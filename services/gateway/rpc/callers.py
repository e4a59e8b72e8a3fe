"""The caller of the current call: known before its message is read, available in a context variable."""

from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

from services.common.domain.api_keys import Role
from services.common.infra.visitors import counted_address


@dataclass(frozen=True)
class Caller:
    """The holder of an API key, or an anonymous caller."""

    role: Role
    key_id: UUID | None = None

    @property
    def principal(self) -> str:
        """Identity for idempotency and the audit log; unchanged by a rotation of the key."""
        return f"key:{self.key_id}" if self.key_id else "anonymous"


@dataclass(frozen=True)
class CurrentCall:
    """An admitted call."""

    caller: Caller
    peer: str
    """Network address of the client, as gRPC formats it."""
    method: str
    """Name of the RPC, without its service."""
    visitor: str | None = None
    """Network address of the visitor, if the web pages call for one."""

    @property
    def rate_limit_key(self) -> str:
        """Identity for rate limits: the visitor of the pages, else the key, or without one the network address."""
        if self.visitor:
            return f"visitor:{self.visitor}"
        if self.caller.key_id:
            return self.caller.principal
        kind, _, rest = self.peer.partition(":")
        # Without the port, which differs between connections.
        host = unquote(rest.rpartition(":")[0]).strip("[]")
        return f"{kind}:{counted_address(host) or host}" if kind in {"ipv4", "ipv6"} else kind


CURRENT_CALL: ContextVar[CurrentCall] = ContextVar("current_call")
"""The call that the current task serves."""


def rate_limit_key() -> str:
    """Return the identity for rate limits of the current call; empty outside of a call."""
    call = CURRENT_CALL.get(None)
    return call.rate_limit_key if call else ""


def principal() -> str:
    """Return the principal of the current call."""
    return CURRENT_CALL.get().caller.principal
