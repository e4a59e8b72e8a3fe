"""API keys: their format, digests and roles."""

import hashlib
import re
import secrets
from enum import StrEnum

PREFIX = "imageblur_"
"""By which people, and scanners for leaked secrets, recognise a key."""
HINT_LENGTH = len(PREFIX) + 4


class Role(StrEnum):
    """What the holder of a key may do; the names of the interface's ApiKeyRole."""

    CLIENT = "CLIENT"
    """Orders and subscriptions."""
    VIEWER = "VIEWER"
    """Reads everything but addresses, and changes nothing."""
    ADMIN = "ADMIN"
    """Everything."""


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
