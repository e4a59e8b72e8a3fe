"""Signed tokens for links in e-mails: each permits its holder one action."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer

Purpose = Literal["confirm", "unsubscribe", "receive"]
"""To confirm a subscription or end it, or to have an order's results, and others after it, sent to its address."""

CONFIRM_SECONDS = 7 * 24 * 3600
"""A confirmation token is valid for a week; one to unsubscribe for ever, as the law requires."""
_MAX_AGE: dict[Purpose, int | None] = {"confirm": CONFIRM_SECONDS, "unsubscribe": None, "receive": CONFIRM_SECONDS}
ARCHIVE_SECONDS = 366 * 24 * 3600
"""A link to an archive ends with its order, and after so long at the latest."""


class BadToken(ValueError):
    """The token was altered, is of another purpose, or too old."""


class Tokens:
    """Signs tokens with a secret key, and verifies those signed with it or with former keys."""

    def __init__(self, secret_key: str, *former_keys: str) -> None:
        # The serializer signs with the last one.
        self._secret_keys = [*reversed(former_keys), secret_key]

    def make(self, purpose: Purpose, subscriber_id: UUID, version: int) -> str:
        """Return a token that permits this for the subscriber; to receive, for the order."""
        return self._serializer(purpose).dumps([subscriber_id.hex, version])

    def read(self, purpose: Purpose, token: str) -> tuple[UUID, int]:
        """Return the subscriber (to receive, the order) and the version of a token.

        Raises:
            BadToken: It is not valid.
        """
        try:
            subscriber, version = self._load(purpose, token, _MAX_AGE[purpose])
            return UUID(subscriber), int(version)
        except (BadData, ValueError, TypeError):
            raise BadToken("is not valid, or has expired") from None

    def archive(self, order_id: UUID) -> str:
        """Return a token that permits to download the order's archive, and nothing else."""
        return self._serializer("archive").dumps(order_id.hex)

    def read_archive(self, token: str) -> UUID:
        """Return the order of an archive token.

        Raises:
            BadToken: It is not valid.
        """
        try:
            return UUID(self._load("archive", token, ARCHIVE_SECONDS))
        except (BadData, ValueError, TypeError, AttributeError):
            raise BadToken("is not valid, or has expired") from None

    def _load(self, purpose: Purpose | Literal["archive"], token: str, max_age: int | None) -> Any:
        # Not `max_age` of the serializer: it refuses tokens of the future, made by a machine whose clock is ahead.
        content, made_at = self._serializer(purpose).loads(token, return_timestamp=True)
        if max_age is not None and (datetime.now(UTC) - made_at).total_seconds() > max_age:
            raise BadToken("has expired")
        return content

    def _serializer(self, purpose: Purpose | Literal["archive"]) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret_keys, salt=f"imageblur.{purpose}")
