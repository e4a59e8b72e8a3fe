"""The caller of the current call: known before its message is read, available in a context variable."""

import functools
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

from services.common.db.access.audit import AuditContext
from services.common.domain.api_keys import NO_LIMITS, AddressClass, KeyLimits, Role, Scope, address_class
from services.common.infra.signing.visitors import counted_address


@dataclass(frozen=True)
class Caller:
    """The holder of an API key, or an anonymous caller."""

    role: Role
    key_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset()
    """Groups of RPCs that the key is restricted to; empty: none."""
    limits: KeyLimits = NO_LIMITS
    """Limits of the key."""

    @property
    def principal(self) -> str:
        """Identity for idempotency and the audit log; unchanged by a rotation of the key."""
        return f"key:{self.key_id}" if self.key_id else "anonymous"


UNAUTHORIZED = Caller(Role.CLIENT)
"""The caller of a call that is refused: known by its network address."""


@dataclass(frozen=True)
class CurrentCall:
    """A call that is served, or refused."""

    caller: Caller
    peer: str
    """Network address of the client, as gRPC formats it."""
    method: str
    """Name of the RPC, without its service."""
    visitor: str | None = None
    """Network address of the visitor, if the web pages call for one."""

    @functools.cached_property
    def rate_limit_key(self) -> str:
        """Identity for rate limits: the visitor of the pages, else the key, or without one the network address."""
        if self.visitor:
            return f"visitor:{self.visitor}"
        if self.caller.key_id:
            return self.caller.principal
        kind, host = _parse_peer(self.peer)
        return f"{kind}:{counted_address(host) or host}" if host else kind


def peer_class(peer: str) -> AddressClass | None:
    """Return the class of a client's address, as gRPC formats it; None if it is not known."""
    kind, host = _parse_peer(peer)
    return AddressClass.LOOPBACK if kind == "unix" else address_class(host)


@functools.lru_cache(1024)
def _parse_peer(peer: str) -> tuple[str, str]:
    """Return the kind of an address and its host, without the port, which differs between connections."""
    kind, _, rest = peer.partition(":")
    return kind, unquote(rest.rpartition(":")[0]).strip("[]") if kind in {"ipv4", "ipv6"} else ""


CURRENT_CALL: ContextVar[CurrentCall] = ContextVar("current_call")
"""The call that the current task serves."""


def rate_limit_key() -> str:
    """Return the identity for rate limits of the current call; empty outside of a call."""
    call = CURRENT_CALL.get(None)
    return call.rate_limit_key if call else ""


def limits() -> KeyLimits:
    """Return the limits of the key of the current call; none outside of a call."""
    call = CURRENT_CALL.get(None)
    return call.caller.limits if call else NO_LIMITS


def audit_context() -> AuditContext:
    """Return who makes the current call, and which RPC it is, for the audit log."""
    call = CURRENT_CALL.get()
    return AuditContext(call.caller.principal, call.method)


def principal() -> str:
    """Return the principal of the current call."""
    return CURRENT_CALL.get().caller.principal
