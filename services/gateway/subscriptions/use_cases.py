"""Subscribes, confirms and unsubscribes addresses."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.mail import deliveries, mailboxes, subscribers
from services.common.db.orders import orders
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.follow_up import FollowUp
from services.common.domain.mailboxes import MailboxHasher
from services.common.domain.orders import DeliveryState, OrderState
from services.common.infra.signing.tokens import BadToken, Purpose, Tokens
from services.common.use_cases.after_commit import AfterCommit


@dataclass(frozen=True)
class Subscriptions:
    """The use cases of subscriptions; blocking."""

    database: Database
    after_commit: AfterCommit
    tokens: Tokens
    double_opt_in: bool
    """Ask the owner of an address to confirm by an e-mail."""
    mailboxes: MailboxHasher

    def subscribe(self, *, email: str, email_key: str, locale: str, time_zone: str | None = None) -> None:
        """Subscribe an address, or send it a confirmation e-mail."""
        with self.database.write() as session:
            confirmation = subscribers.subscribe(
                session,
                email=email,
                email_key=email_key,
                locale=locale,
                time_zone=time_zone,
                confirm=self.double_opt_in,
            )
        if confirmation:
            self.after_commit(FollowUp(email_ids=[confirmation]))

    def confirm(self, token: str) -> None:
        """Confirm a subscription, or that an address wants results, with the token of an e-mail that asks for it.

        Raises:
            InvalidArgument: The token is not valid, or was superseded.
        """
        order_id = self._read_order(token)
        if order_id:
            self._receive(order_id)
            return
        subscriber_id, version = self._read("confirm", token)
        with self.database.write() as session:
            confirmed = subscribers.confirm(session, subscriber_id, version)
            if confirmed and (subscriber := subscribers.get(session, subscriber_id)):
                self._confirm_mailbox(session, subscriber.email)
        if not confirmed:
            raise InvalidArgument(Violation("token", "is no longer valid: subscribe again"), reason="INVALID_TOKEN")

    def _receive(self, order_id: UUID) -> None:
        """Confirm the mailbox of an order, and send it the results."""
        emails: list[UUID] = []
        with self.database.write() as session:
            order = orders.lock(session, order_id)
            if order is None or order.email is None:
                raise InvalidArgument(Violation("token", "is of an order that has expired"), reason="INVALID_TOKEN")
            # Once: a caller that repeats it must not flood the address.
            is_new, state = self._confirm_mailbox(session, order.email), OrderState(order.state)
            ended = not state.open and state is not OrderState.CANCELLED
            if is_new and ended and deliveries.find_open(session, order_id) is None:
                delivery = deliveries.insert_delivery(session, order_id, DeliveryState.QUEUED)
                emails = [deliveries.insert_email(session, delivery.id)]
        self.after_commit(FollowUp(email_ids=emails, changed_order_ids=[order_id]))

    def _confirm_mailbox(self, session: Session, address: str) -> bool:
        """Record that an address wants results, and let those go that wait for it; False if it was recorded before."""
        hashes = self.mailboxes.hashes(address)
        mailboxes.release_waiting(session, hashes)
        return mailboxes.confirm(session, hashes[0])

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

    def _read_order(self, token: str) -> UUID | None:
        try:
            return self.tokens.read("receive", token)[0]
        except BadToken:
            return None

    def _read(self, purpose: Purpose, token: str) -> tuple[UUID, int]:
        try:
            return self.tokens.read(purpose, token)
        except BadToken as error:
            raise InvalidArgument(Violation("token", str(error)), reason="INVALID_TOKEN") from None
