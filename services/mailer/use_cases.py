"""What the mailer does with an e-mail that somebody waits for: take it, send it, tell what became of it."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.db.engine import Database, retry_unavailable
from services.common.db.mail import deliveries, emails, subscribers
from services.common.db.mail.emails import EmailClaim
from services.common.domain.errors import Reason, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.retries import EMAIL_RETRIES, MAX_EMAIL_ATTEMPTS
from services.common.infra import log, tracing
from services.common.infra.blobs import MissingBlob
from services.common.infra.broker import Broker
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messages import MAIL_QUEUE
from services.common.use_cases.after_commit import AfterCommit
from services.mailer import metrics
from services.mailer.content.models import Draft
from services.mailer.mime.composer import Postbox
from services.mailer.outcomes import Again, Later, Lost, Never, NotWanted, Outcome, Sent, told
from services.mailer.smtp.rate_limit import TokenBucket
from services.mailer.smtp.sender import NotTaken, Refused, Sender

_IN_MEMORY = 1 << 20
"""E-mails up to this size do not touch the disk."""
SURELY_SECONDS = 24 * 3600.0
_log = log.get(__name__)


@dataclass(frozen=True)
class SendEmail:
    """The use case, over what it needs."""

    database: Database
    broker: Broker
    leases: Leases
    draft: Callable[[Session, EmailClaim], Draft | None]
    postbox: Postbox
    sender: Sender
    bucket: TokenBucket
    send_seconds: float
    """Longest that the sender may take."""
    emails_per_hour: int = 1_000_000
    """Most e-mails about orders to one address."""

    def __call__(self, email_id: UUID) -> None:
        """Send an e-mail if it is still to be sent; whatever happens is in its row afterwards."""
        with self.database.write() as session:
            claim = emails.claim(session, email_id, lease_seconds=LEASE_SECONDS)
        if claim is None:
            _log.info("email", queue=MAIL_QUEUE, email=str(email_id), outcome="NOTHING_TO_DO")
            return
        self._announce(claim)
        begin = time.monotonic()
        with self.leases.hold(claim.owner):
            outcome = self._work(claim)
            # What was sent must be written down however long that takes: whoever comes after us would send it again.
            patience = SURELY_SECONDS if isinstance(outcome, Sent) else 8.0
            recorded = retry_unavailable(partial(self._record, claim, outcome), patience)
        if recorded:
            self._announce(claim, ended=True)
        seconds, what = round(time.monotonic() - begin, 4), told(outcome)
        metrics.email_done(claim.kind, str(what["outcome"]), seconds)
        ids = {"email": str(email_id)} | ({"order": str(claim.order_id)} if claim.order_id else {})
        _log.info("email", queue=MAIL_QUEUE, **ids, kind=claim.kind, seconds=seconds, recorded=recorded, **what)
        attributes = {"email": str(email_id), "outcome": str(what["outcome"])}
        tracing.record("send_email", claim.order_id, seconds, ok=what["outcome"] == "SENT", attributes=attributes)

    def _announce(self, claim: EmailClaim, *, ended: bool = False) -> None:
        if claim.order_id:
            self.broker.announce(claim.order_id, ended=ended)

    def _work(self, claim: EmailClaim) -> Outcome:
        try:
            with self.database.read() as session:
                draft = self.draft(session, claim)
                if draft is None:
                    return NotWanted()
                if claim.order_id and (wait := self._wait_for(session, draft.to)):
                    return Later(wait)
            self._provide_parts(claim, draft.parts)
            return self._send(claim, draft)
        except Refused as error:
            return Never(Reason.MAIL_REFUSED, str(error), bounced=error.bounced)
        except NotTaken as error:
            return Again(str(error), Reason.MAIL_UNREACHABLE)
        except MissingBlob:
            # A store that is not mounted looks like this too: what is not there now may be there later.
            return Again("a result is missing")
        except Unavailable as error:
            return Again(str(error))
        except Exception:
            _log.exception("e-mail not sent", email=str(claim.email_id))
            return Again("unexpected error")

    def _wait_for(self, session: Session, address: str) -> float:
        """Seconds until an address may have another e-mail about an order."""
        return deliveries.sent_lately(session, address, most=self.emails_per_hour, seconds=3600)

    def _provide_parts(self, claim: EmailClaim, parts: int) -> None:
        """See that all e-mails of a delivery exist before one of them is sent, or the delivery would end with it."""
        if parts == 1 or not claim.delivery_id:
            return
        with self.database.read() as session:
            if deliveries.email_count(session, claim.delivery_id) >= parts:
                return
        with self.database.write() as session:
            new = emails.insert_parts(session, claim, parts)
        AfterCommit(database=self.database, broker=self.broker)(FollowUp(email_ids=new))

    def _send(self, claim: EmailClaim, draft: Draft) -> Outcome:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            envelope = self.postbox.write(claim.email_id, draft, file)
            self.bucket.wait(bulk=False)
            # From here on the lease outlasts the sender's deadline, even if it cannot be renewed: nobody else sends the
            # e-mail while this one may still go out.
            with self.database.write() as session:
                held = emails.extend(session, claim, lease_seconds=self.send_seconds + LEASE_SECONDS)
            return Sent(self.sender.send(envelope)) if held else Lost()

    def _record(self, claim: EmailClaim, outcome: Outcome) -> bool:
        with self.database.write() as session:
            match outcome:
                case Sent(reply):
                    return emails.sent(session, claim, smtp_reply=reply)
                case NotWanted():
                    return emails.cancelled(session, claim)
                case Lost():
                    return False
                case Later(seconds):
                    message = "its address has had as many e-mails as it may have in an hour"
                    return emails.postpone(session, claim, delay=seconds, message=message)
                case Never(reason, message, bounced):
                    # Of the list: an order's e-mail says nothing about it, nor does the list stop an order's e-mail.
                    if bounced and claim.subscriber_id:
                        subscribers.suppress(session, claim.subscriber_id, message)
                    return emails.failed(session, claim, reason, message)
                case Again(message, reason) if claim.attempts >= MAX_EMAIL_ATTEMPTS:
                    return emails.failed(session, claim, reason, message)
                case Again(message):
                    return emails.release(session, claim, delay=EMAIL_RETRIES.delay(claim.attempts), message=message)


@dataclass(frozen=True)
class RenewLeases:
    """Extends leases in one statement."""

    database: Database

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write() as session:
            emails.renew(session, owners, lease_seconds=LEASE_SECONDS)
