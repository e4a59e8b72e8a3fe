"""Access control: the table of roles that may call each method, and the API key of a call."""

import re
from collections.abc import Iterable
from typing import Literal

from services.common.domain.api_keys import Role, Scope
from services.common.domain.errors import PermissionDenied, Unauthenticated
from services.common.infra.signing.visitors import VisitorProof
from services.gateway.rpc.callers import Caller, peer_class
from services.gateway.rpc.key_cache import KeyCache

Reflection = Literal["open", "keys", "off"]

BLUR = "/imageblur.v1.BlurService/"
SUBSCRIPTION = "/imageblur.v1.SubscriptionService/"
OPERATOR = "/imageblur.v1.OperatorService/"
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection."

_ANY_ROLE, _ADMINS = frozenset(Role), frozenset({Role.ADMIN})
_CLIENTS, _VIEWERS = _ADMINS | {Role.CLIENT}, _ADMINS | {Role.VIEWER}
# A viewer sees the IDs of orders, which grant access to them, so viewers may only read here, too.
_READ_BY_ALL = {BLUR + method for method in ("GetLimits", "Status", "ListImages", "WatchStatus")}
_READ_BY_VIEWERS = {
    OPERATOR + method
    for method in (
        "GetStatistics",
        "GetCaller",
        "GetOrderTrace",
        "ListOrderImages",
        "ListQueues",
        "ListWorkers",
        "ListOrders",
        "ListFailures",
        "ListAuditEntries",
        "ListMailings",
        "ListWebhookEvents",
        "PreviewMailing",
        "CountSubscribers",
        "ListEmailTexts",
        "PreviewEmail",
    )
}


def allowed_roles(method: str) -> frozenset[Role]:
    """Return the roles that may call a method, by its full name.

    Methods that are not listed are for clients in BlurService and SubscriptionService, else for administrators.
    """
    if method in _READ_BY_VIEWERS:
        return _VIEWERS
    if method in _READ_BY_ALL or method.startswith(REFLECTION):
        return _ANY_ROLE
    return _CLIENTS if method.startswith((BLUR, SUBSCRIPTION)) else _ADMINS


_RESULTS = {"Status", "ListImages", "WatchStatus", "DownloadImages", "PreviewImage"}
_INSTANT = {"BlurImage", "FindRegions"}
_OF_EVERY_KEY = {BLUR + "GetLimits", OPERATOR + "GetCaller"}
_OPERATOR_SCOPES = (
    (re.compile("ApiKey"), Scope.KEYS),
    (re.compile("PersonalData|LiftSuppression"), Scope.PERSONAL_DATA),
    (re.compile("Mail|Email|Subscri|Newsletter"), Scope.MAILINGS),
)


def scope_of(method: str) -> Scope | None:
    """Return the group that a method belongs to, by its full name; None if every key may call it."""
    if method in _OF_EVERY_KEY or method.startswith((HEALTH, REFLECTION)):
        return None
    name = method.rpartition("/")[2]
    if method.startswith(BLUR):
        return Scope.RESULTS if name in _RESULTS else Scope.INSTANT if name in _INSTANT else Scope.ORDERS
    if method.startswith(SUBSCRIPTION):
        return Scope.SUBSCRIPTIONS
    return next((scope for pattern, scope in _OPERATOR_SCOPES if pattern.search(name)), Scope.OPERATIONS)


class AccessControl:
    """Authenticates the caller of a method and checks its role.

    Args:
        keys: The active API keys.
        anonymous: Role of callers without a key; None if a key is required.
        reflection: Who may call the reflection service.
        visitors: Verifies for whom the web pages call.
    """

    def __init__(
        self, keys: KeyCache, *, anonymous: Role | None, reflection: Reflection, visitors: VisitorProof
    ) -> None:
        self.visitors = visitors
        self._keys = keys
        self._anonymous = anonymous
        self._public = (HEALTH, REFLECTION) if reflection == "open" else (HEALTH,)

    def authorize(self, method: str, metadata: Iterable[tuple[str, str | bytes]], peer: str = "") -> Caller:
        """Return the caller of a method, by its full name; `peer`: its network address, as gRPC formats it.

        Raises:
            Unauthenticated: A key is required, or the key is not valid.
            PermissionDenied: The caller's role may not call the method, or its key is restricted to others.
            Unavailable: Keys cannot be checked now.
        """
        if method.startswith(self._public):
            return Caller(Role.CLIENT)
        caller = self._authenticate(metadata, peer)
        allowed = allowed_roles(method)
        if caller.role not in allowed:
            name = method.rpartition("/")[2]
            subject = f"a key of the role {caller.role}" if caller.key_id else "a call without a key"
            needed = " or ".join(sorted(allowed))
            raise PermissionDenied("ROLE_NOT_ALLOWED", f"{subject} may not call {name}: it needs the role {needed}")
        scope = scope_of(method)
        if caller.scopes and scope and scope not in caller.scopes:
            name, given = method.rpartition("/")[2], ", ".join(sorted(caller.scopes))
            message = f"the key may not call {name}: it has the scopes {given}, and the call needs {scope}"
            raise PermissionDenied("SCOPE_NOT_ALLOWED", message)
        return caller

    def _authenticate(self, metadata: Iterable[tuple[str, str | bytes]], peer: str) -> Caller:
        sent = [value for name, value in metadata if name == "authorization"]
        if not sent:
            if self._anonymous is None:
                message = "this server requires an API key: send the metadata authorization: Bearer KEY"
                raise Unauthenticated("API_KEY_REQUIRED", message)
            return Caller(self._anonymous)
        # A key that is sent is checked even where none is required.
        caller = self._keys.find(_bearer(sent[0]), peer_class(peer)) if len(sent) == 1 else None
        if caller is None:
            raise Unauthenticated("API_KEY_INVALID", "the API key is not valid: unknown, revoked or expired")
        return caller


def _bearer(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return ""
    scheme, _, key = value.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
