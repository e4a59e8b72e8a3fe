"""The sending core: drafts, signs, offers and records one claimed e-mail, single or of a mailing."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy.orm import Session

from services.common.db.engine import Database, retry_unavailable
from services.common.db.mail import emails
from services.common.db.mail.emails import EmailClaim, SendDecision
from services.common.domain.errors import Reason, Unavailable
from services.common.infra import log, tracing
from services.common.infra.blobs import MissingBlob
from services.common.infra.leases import LEASE_SECONDS
from services.mailer import metrics
from services.mailer.content.email_content import Draft
from services.mailer.mime.composer import EmailComposer
from services.mailer.sending.outcomes import (
    ClaimLost,
    NotWanted,
    Outcome,
    Postponed,
    Rejected,
    RetryEmail,
    Sent,
)
from services.mailer.sending.recording import OutcomeRecord, record_of
from services.mailer.smtp.envelope import EmailDeferred, EmailRejected, MailServerUnavailable
from services.mailer.smtp.send_rate import MailerStopping
from services.mailer.smtp.session import MailSession

RECORD_SECONDS = 8.0
RECORD_SENT_SECONDS = 24 * 3600.0
"""An e-mail that was sent has to be recorded however long that takes: otherwise another mailer would send it again."""
_IN_MEMORY_BYTES = 1 << 20
"""Messages up to this size are not written to the disk."""

_log = log.get(__name__)


class _ConfirmClaim(Protocol):
    def __call__(self, session: Session, claim: EmailClaim, *, lease_seconds: float) -> SendDecision: ...


class _Rate(Protocol):
    def wait(self, *, bulk: bool) -> None:
        """Wait until an e-mail may be sent; see SendRate."""


@dataclass(frozen=True, kw_only=True)
class ClaimedEmail:
    """A claimed e-mail, and the two steps in which its kinds differ."""

    claim: EmailClaim
    draft: Callable[[], Draft | NotWanted | Postponed]
    confirm_claim: _ConfirmClaim = emails.confirm_claim
    """Run just before SMTP."""
    bulk: bool = False
    """It lets other e-mails pass, and its commits do not wait for the disk: a power cut may repeat it."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A finished attempt; `recorded`: False if the claim was lost."""

    outcome: Outcome
    label: str
    recorded: bool


@dataclass(frozen=True, kw_only=True)
class EmailSender:
    """Sends claimed e-mails over a session."""

    database: Database
    composer: EmailComposer
    rate: _Rate
    send_seconds: float
    """Longest that a session may take for an e-mail."""

    def send(self, email: ClaimedEmail, session: MailSession) -> Attempt:
        """Send an e-mail and record the outcome; the caller keeps the lease renewed.

        Raises:
            Unavailable: The database could not be reached for so long that the outcome was not recorded.
        """
        begin = time.monotonic()
        outcome = self._attempt(email, session)
        record = record_of(outcome, email.claim)
        patience = RECORD_SENT_SECONDS if isinstance(outcome, Sent) else RECORD_SECONDS
        recorded = retry_unavailable(partial(self._write, email, record), patience)
        _report(email, record, seconds=time.monotonic() - begin, recorded=recorded)
        return Attempt(outcome=outcome, label=record.label, recorded=recorded)

    def _attempt(self, email: ClaimedEmail, session: MailSession) -> Outcome:
        try:
            draft = email.draft()
            return self._offer(email, draft, session) if isinstance(draft, Draft) else draft
        except MailerStopping:
            return Postponed(seconds=0, message="the mailer is stopping")
        except EmailRejected as error:
            return Rejected(message=str(error), no_mailbox=error.no_mailbox)
        except EmailDeferred as error:
            unavailable = isinstance(error, MailServerUnavailable)
            return RetryEmail(message=str(error), reason=Reason.MAIL_UNREACHABLE, server_unavailable=unavailable)
        except MissingBlob:
            # An unmounted blob store looks the same, so the result may be there at the next attempt.
            return RetryEmail(message="a result is missing")
        except Unavailable as error:
            return RetryEmail(message=str(error))
        except Exception:
            _log.exception("e-mail not sent", email=str(email.claim.email_id))
            return RetryEmail(message="unexpected error")

    def _offer(self, email: ClaimedEmail, draft: Draft, session: MailSession) -> Outcome:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
            envelope = self.composer.compose(email.claim.email_id, draft, file)
            self.rate.wait(bulk=email.bulk)
            # From here on the lease outlasts the session's deadline, even if it cannot be renewed: no other mailer
            # sends the e-mail while this one may still do so.
            lease_seconds = self.send_seconds + LEASE_SECONDS
            with self.database.write(durable=not email.bulk) as db_session:
                decision = email.confirm_claim(db_session, email.claim, lease_seconds=lease_seconds)
            match decision:
                case SendDecision.SEND:
                    return Sent(reply=session.send(envelope))
                case SendDecision.NOT_WANTED:
                    return NotWanted()
                case SendDecision.LOST:
                    return ClaimLost()

    def _write(self, email: ClaimedEmail, record: OutcomeRecord) -> bool:
        with self.database.write(durable=not email.bulk) as db_session:
            return record.write(db_session)


def _report(email: ClaimedEmail, record: OutcomeRecord, *, seconds: float, recorded: bool) -> None:
    claim, seconds = email.claim, round(seconds, 4)
    metrics.email_done(claim.kind.name, record.label, seconds)
    ids = {"email": str(claim.email_id)} | ({"order": str(claim.order_id)} if claim.order_id else {})
    fields = {**ids, "kind": claim.kind.name, "outcome": record.label, **record.log_fields}
    # E-mails of a mailing are logged by the batch.
    (_log.debug if email.bulk else _log.info)("email", seconds=seconds, recorded=recorded, **fields)
    attributes = {"email": str(claim.email_id), "outcome": record.label}
    tracing.record("send_email", claim.order_id, seconds, ok=record.label == "SENT", attributes=attributes)
