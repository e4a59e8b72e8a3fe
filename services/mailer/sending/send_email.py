"""Sends a single e-mail: of an order, a confirmation or a goodbye."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.mail import deliveries, emails, suppressions
from services.common.db.mail.emails import EmailClaim
from services.common.domain.follow_up import FollowUp
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra import log
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAIL_QUEUE
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.content.email_content import Draft, OrderUnconfirmed
from services.mailer.sending.email_sender import ClaimedEmail, EmailSender
from services.mailer.sending.outcomes import NotWanted, Postponed, Refused
from services.mailer.smtp.session import MailSession

UNCONFIRMED_SECONDS = 24 * 3600.0
"""A mailbox that has not confirmed gets one order e-mail in this time."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class SendEmail:
    """The use case, with its dependencies."""

    database: Database
    broker: Broker
    after_commit: AfterCommit
    leases: Leases
    draft: Callable[[Session, EmailClaim], Draft | None]
    sender: EmailSender
    open_session: Callable[[], MailSession]
    mailboxes: MailboxHasher
    emails_per_hour: int = 1_000_000
    """Most order e-mails to one mailbox."""

    def __call__(self, email_id: UUID) -> None:
        """Send an e-mail if it is still to be sent, and record the outcome in its row."""
        with self.database.write() as session:
            claim = emails.claim_email(session, email_id, lease_seconds=LEASE_SECONDS)
        if claim is None:
            _log.debug("email", queue=MAIL_QUEUE, email=str(email_id), outcome="NOTHING_TO_DO")
            return
        self._announce(claim)
        with self.leases.hold(claim.owner), closing(self.open_session()) as mail_session:
            attempt = self.sender.send(ClaimedEmail(claim=claim, draft=partial(self._prepare, claim)), mail_session)
            if attempt.recorded:
                self._announce(claim, ended=True)

    def _prepare(self, claim: EmailClaim) -> Draft | NotWanted | Postponed | Refused:
        with self.database.read() as session:
            draft = self.draft(session, claim)
            if draft is None:
                return NotWanted()
            suppressed = suppressions.find(session, self.mailboxes.address_hashes(draft.to))
            if suppressed:
                return Refused(message=f"the address gets no e-mails: {suppressed.reason}")
            postponed = self._postpone(session, claim, draft) if claim.order_id else None
        if postponed:
            return postponed
        self._insert_missing_parts(claim, draft.parts)
        return draft

    def _postpone(self, session: Session, claim: EmailClaim, draft: Draft) -> Postponed | None:
        address, mailboxes = draft.to, self.mailboxes.hashes(draft.to)
        if isinstance(draft.content, OrderUnconfirmed):
            wait = deliveries.seconds_until_first_again(
                session, address, mailboxes, claim.email_id, seconds=UNCONFIRMED_SECONDS
            )
            message = "the address has had an e-mail that asks it to confirm; it gets the next when it has, or in a day"
        else:
            wait = deliveries.seconds_until_allowed(
                session, address, mailboxes, limit=self.emails_per_hour, seconds=3600
            )
            message = "the address has had as many e-mails as it may have in an hour"
        return Postponed(seconds=wait, message=message) if wait else None

    def _insert_missing_parts(self, claim: EmailClaim, parts: int) -> None:
        """Insert all e-mails of a delivery before the first of them is sent, which would otherwise end the delivery."""
        if parts == 1 or not claim.delivery_id:
            return
        with self.database.read() as session:
            if deliveries.count_emails(session, claim.delivery_id) >= parts:
                return
        with self.database.write() as session:
            new = emails.insert_missing_parts(session, claim, parts)
        self.after_commit(FollowUp(email_ids=new))

    def _announce(self, claim: EmailClaim, *, ended: bool = False) -> None:
        if claim.order_id:
            self.broker.announce(claim.order_id, ended=ended)
