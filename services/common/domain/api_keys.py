"""API keys: what they look like, what is kept of them, and what their roles are."""

import hashlib
import secrets
from enum import StrEnum

PREFIX = "imageblur_"
"""So that people, and programs that look for leaked secrets, know one when they see it."""
HINT_LENGTH = len(PREFIX) + 4


class Role(StrEnum):
    """What the holder of a key may do; see the interface's ApiKeyRole."""

    CLIENT = "CLIENT"
    """Orders and subscriptions."""
    VIEWER = "VIEWER"
    """Looks at everything that names no person in full, and changes nothing."""
    ADMIN = "ADMIN"
    """Everything."""


def new_key() -> str:
    """A key that nobody can guess: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """What is kept of a key, as hex. A plain SHA-256 is enough: what is random in full cannot be tried out."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint(key: str) -> str:
    """The beginning of a key, by which people tell keys apart: 24 of its 256 bits."""
    return key[:HINT_LENGTH]
