"""Subscribes, confirms and unsubscribes addresses."""

from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.follow_up import FollowUp
from services.common.infra.tokens import BadToken, Purpose, Tokens
from services.common.use_cases.after_commit import AfterCommit


@dataclass(frozen=True)
class Subscriptions:
    """The use cases of subscriptions; blocking."""

    database: Database
    after_commit: AfterCommit
    tokens: Tokens
    double_opt_in: bool
    """Ask the owner of an address to confirm by an e-mail."""

    def subscribe(self, *, email: str, email_key: str, locale: str) -> None:
        """Subscribe an address, or send it a confirmation e-mail."""
        with self.database.write() as session:
            confirmation = subscribers.subscribe(
                session, email=email, email_key=email_key, locale=locale, confirm=self.double_opt_in
            )
        if confirmation:
            self.after_commit(FollowUp(email_ids=[confirmation]))

    def confirm(self, token: str) -> None:
        """Confirm a subscription with the token of a confirmation e-mail.

        Raises:
            InvalidArgument: The token is not valid, or was superseded.
        """
        subscriber_id, version = self._read("confirm", token)
        with self.database.write() as session:
            confirmed = subscribers.confirm(session, subscriber_id, version)
        if not confirmed:
            raise InvalidArgument(Violation("token", "is no longer valid: subscribe again"), reason="INVALID_TOKEN")

    def unsubscribe_address(self, email_key: str) -> None:
        """End a subscription by address, and send a goodbye e-mail if there was one."""
        with self.database.write() as session:
            goodbye = subscribers.unsubscribe(session, email_key=email_key)
        if goodbye:
            self.after_commit(FollowUp(email_ids=[goodbye]))

    def unsubscribe_token(self, token: str) -> None:
        """End a subscription by the token of a newsletter.

        Raises:
            InvalidArgument: The token is not valid.
        """
        subscriber_id, _ = self._read("unsubscribe", token)
        with self.database.write() as session:
            subscribers.unsubscribe(session, subscriber_id=subscriber_id)

    def _read(self, purpose: Purpose, token: str) -> tuple[UUID, int]:
        try:
            return self.tokens.read(purpose, token)
        except BadToken as error:
            raise InvalidArgument(Violation("token", str(error)), reason="INVALID_TOKEN") from None
