"""API keys: their format, digests and roles."""

import hashlib
import ipaddress
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "imageblur_"
"""Prefix by which people, and scanners for leaked secrets, recognise a key."""
HINT_LENGTH = len(PREFIX) + 4


class Role(StrEnum):
    """What the holder of a key may do; the names of the interface's ApiKeyRole."""

    CLIENT = "CLIENT"
    """Orders and subscriptions."""
    VIEWER = "VIEWER"
    """Reads everything but addresses, and changes nothing."""
    ADMIN = "ADMIN"
    """Everything."""


class Scope(StrEnum):
    """Groups of RPCs that a key may be restricted to; the names of the interface's ApiKeyScope."""

    ORDERS = "ORDERS"
    RESULTS = "RESULTS"
    INSTANT = "INSTANT"
    SUBSCRIPTIONS = "SUBSCRIPTIONS"
    OPERATIONS = "OPERATIONS"
    MAILINGS = "MAILINGS"
    PERSONAL_DATA = "PERSONAL_DATA"
    KEYS = "KEYS"


SCOPES = {
    Role.CLIENT: frozenset({Scope.ORDERS, Scope.RESULTS, Scope.INSTANT, Scope.SUBSCRIPTIONS}),
    Role.VIEWER: frozenset({Scope.RESULTS, Scope.OPERATIONS, Scope.MAILINGS}),
    Role.ADMIN: frozenset(Scope),
}
"""The groups in which a role may call something."""


@dataclass(frozen=True, kw_only=True)
class KeyLimits:
    """Limits of one key; 0: none of its own."""

    orders_per_minute: int = 0
    bytes_in_flight: int = 0
    images_per_day: int = 0


NO_LIMITS = KeyLimits()


class AddressClass(StrEnum):
    """Kinds of network addresses; the names of the interface's AddressClass."""

    LOOPBACK = "LOOPBACK"
    PRIVATE = "PRIVATE"
    PUBLIC = "PUBLIC"


def address_class(address: str) -> AddressClass | None:
    """Return the kind of an IP address; None if it is not one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return AddressClass.LOOPBACK
    return AddressClass.PRIVATE if parsed.is_private else AddressClass.PUBLIC


def new_key() -> str:
    """Return a new key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def is_key(text: str) -> bool:
    """Return whether a text has the form of a key."""
    return re.fullmatch(PREFIX + r"[A-Za-z0-9_-]{43}", text) is not None


def digest(key: str) -> str:
    """Return the digest that is stored of a key, as hex. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint(key: str) -> str:
    """Return the beginning of a key, by which people recognise it: 24 of its 256 bits."""
    return key[:HINT_LENGTH]
