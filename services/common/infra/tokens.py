"""Signed tokens for links in e-mails: they say who may do what, and cannot be made by others."""

from typing import Literal
from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer

Purpose = Literal["confirm", "unsubscribe"]

CONFIRM_SECONDS = 7 * 24 * 3600
"""A confirmation token works for a week; one to unsubscribe for ever, as the law wants it."""
ARCHIVE_SECONDS = 366 * 24 * 3600
"""A link to an archive ends with its order; this is the most, whatever becomes of the order."""


class BadToken(ValueError):
    """The token was altered, is of another purpose, or too old."""


class Tokens:
    """Makes tokens under a secret key, and reads those made under it or under former ones."""

    def __init__(self, secret_key: str, *former_keys: str) -> None:
        # The serializer's order: the last one signs.
        self._secret_keys = [*reversed(former_keys), secret_key]

    def make(self, purpose: Purpose, subscriber_id: UUID, version: int) -> str:
        """A token that lets its holder do this for the subscriber."""
        return self._serializer(purpose).dumps([subscriber_id.hex, version])

    def read(self, purpose: Purpose, token: str) -> tuple[UUID, int]:
        """Subscriber and version of a token.

        Raises:
            BadToken: It cannot be relied on.
        """
        try:
            subscriber, version = self._serializer(purpose).loads(
                token, max_age=CONFIRM_SECONDS if purpose == "confirm" else None
            )
            return UUID(subscriber), int(version)
        except (BadData, ValueError, TypeError):
            raise BadToken("is not valid, or has expired") from None

    def archive(self, order_id: UUID) -> str:
        """A token that lets its holder fetch the order's archive, and do nothing else with the order."""
        return self._serializer("archive").dumps(order_id.hex)

    def read_archive(self, token: str) -> UUID:
        """The order of an archive token.

        Raises:
            BadToken: It cannot be relied on.
        """
        try:
            return UUID(self._serializer("archive").loads(token, max_age=ARCHIVE_SECONDS))
        except (BadData, ValueError, TypeError, AttributeError):
            raise BadToken("is not valid, or has expired") from None

    def _serializer(self, purpose: Purpose | Literal["archive"]) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret_keys, salt=f"imageblur.{purpose}")
