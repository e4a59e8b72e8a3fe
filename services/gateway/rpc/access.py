"""Who may call what: a table of methods and roles, and the key that comes with a call."""

from collections.abc import Iterable
from typing import Literal

from services.common.domain.api_keys import Role
from services.common.domain.errors import PermissionDenied, Unauthenticated
from services.gateway.rpc.callers import Caller
from services.gateway.rpc.key_cache import KeyRing

Reflection = Literal["open", "keys", "off"]

BLUR = "/imageblur.v1.BlurService/"
SUBSCRIPTION = "/imageblur.v1.SubscriptionService/"
OPERATOR = "/imageblur.v1.OperatorService/"
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection."

_ALL, _ADMINS = frozenset(Role), frozenset({Role.ADMIN})
_CLIENTS, _VIEWERS = _ADMINS | {Role.CLIENT}, _ADMINS | {Role.VIEWER}
# A viewer sees orders' ids, which are the right to fetch and to delete them: so it is looking alone, here as well.
_LOOKS = {BLUR + method for method in ("GetLimits", "Status", "ListImages", "WatchStatus")}
_VIEWED = {
    OPERATOR + method
    for method in (
        "GetStatistics",
        "GetOrderTrace",
        "ListQueues",
        "ListWorkers",
        "ListOrders",
        "ListFailures",
        "ListAuditEntries",
        "ListMailings",
        "PreviewMailing",
    )
}


def roles(method: str) -> frozenset[Role]:
    """The roles that may call a method, by its full name. What is not named here is an administrator's."""
    if method in _VIEWED:
        return _VIEWERS
    if method in _LOOKS or method.startswith(REFLECTION):
        return _ALL
    return _CLIENTS if method.startswith((BLUR, SUBSCRIPTION)) else _ADMINS


class Access:
    """Finds out who calls, and whether they may.

    anonymous: what callers without a key may do; None: nothing, every call needs one.
    """

    def __init__(self, ring: KeyRing, *, anonymous: Role | None, reflection: Reflection) -> None:
        self._ring = ring
        self._anonymous = anonymous
        self._free = (HEALTH, REFLECTION) if reflection == "open" else (HEALTH,)

    def caller(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """Who calls a method, by its full name.

        Raises:
            Unauthenticated: A key is needed, or the one that came opens nothing.
            PermissionDenied: The caller is known and may not call this.
            Unavailable: A key came, and keys cannot be checked now.
        """
        if method.startswith(self._free):
            return Caller(Role.CLIENT)
        caller = self._identified(metadata)
        allowed = roles(method)
        if caller.role not in allowed:
            name = method.rpartition("/")[2]
            who = f"a key of the role {caller.role}" if caller.key_id else "a call without a key"
            needed = " or ".join(sorted(allowed))
            raise PermissionDenied("ROLE_NOT_ALLOWED", f"{who} may not call {name}: it takes the role {needed}")
        return caller

    def _identified(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        sent = [value for name, value in metadata if name == "authorization"]
        if not sent:
            if self._anonymous is None:
                raise Unauthenticated("KEY_REQUIRED", "this server wants an API key: authorization: Bearer KEY")
            return Caller(self._anonymous)
        # Whoever sends a key means it, also where none is needed.
        caller = self._ring.find(_bearer(sent[0])) if len(sent) == 1 else None
        if caller is None:
            raise Unauthenticated("KEY_NOT_VALID", "the API key is not valid: unknown, revoked or expired")
        return caller


def _bearer(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return ""
    scheme, _, key = value.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
