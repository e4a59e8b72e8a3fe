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
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE
from services.mailer import metrics
from services.mailer.content.email_content import Draft
from services.mailer.mime.composer import EmailComposer
from services.mailer.sending.leases import EMAIL_LEASE_SECONDS
from services.mailer.sending.outcomes import ClaimLost, NotWanted, Outcome, Postponed, Refused, RetryEmail, Sent
from services.mailer.sending.recording import OutcomeRecord, record_of
from services.mailer.smtp.envelope import AcceptanceUnknown, EmailDeferred, EmailRefused, MailServerUnavailable
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
    draft: Callable[[], Draft | NotWanted | Postponed | Refused]
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


class _NotSent(Exception):
    """An e-mail was found not to be sent just before it would have been."""

    def __init__(self, outcome: NotWanted | ClaimLost | Postponed) -> None:
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True)
class EmailSender:
    """Sends claimed e-mails over a session."""

    database: Database
    composer: EmailComposer
    rate: _Rate
    lease_seconds: float = EMAIL_LEASE_SECONDS
    """How far ahead a lease is extended just before SMTP."""

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
        except _NotSent as error:
            return error.outcome
        except MailerStopping:
            return Postponed(seconds=0, message="the mailer is stopping")
        except EmailRefused as error:
            return Refused(message=str(error), no_mailbox=error.no_mailbox)
        except EmailDeferred as error:
            return RetryEmail(
                message=str(error),
                reason=Reason.MAIL_UNREACHABLE,
                server_unavailable=isinstance(error, MailServerUnavailable),
                maybe_sent=isinstance(error, AcceptanceUnknown),
            )
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
            self._confirm(email)
            confirmed_at = time.monotonic()

            def confirm_before_end() -> None:
                # The server was slow, or this process was stopped, and the database unavailable: then another mailer
                # may have the e-mail.
                if time.monotonic() > confirmed_at + self.lease_seconds / 2:
                    self._confirm(email)

            return Sent(reply=session.send(envelope, confirm_before_end))

    def _confirm(self, email: ClaimedEmail) -> None:
        """Extend the lease.

        Raises:
            _NotSent: The e-mail must not be sent.
        """
        with self.database.write(durable=not email.bulk) as db_session:
            decision = email.confirm_claim(db_session, email.claim, lease_seconds=self.lease_seconds)
        match decision:
            case SendDecision.LATER:
                raise _NotSent(Postponed(seconds=0, message=decision.value))
            case SendDecision.NOT_WANTED:
                raise _NotSent(NotWanted())
            case SendDecision.LOST:
                raise _NotSent(ClaimLost())

    def _write(self, email: ClaimedEmail, record: OutcomeRecord) -> bool:
        with self.database.write(durable=not email.bulk) as db_session:
            return record.write(db_session)


def _report(email: ClaimedEmail, record: OutcomeRecord, *, seconds: float, recorded: bool) -> None:
    claim, seconds = email.claim, round(seconds, 4)
    metrics.email_done(claim.kind.name, record.label, seconds)
    queue = MAILING_QUEUE if email.bulk else MAIL_QUEUE
    ids = {"queue": queue, "email": str(claim.email_id)} | ({"order": str(claim.order_id)} if claim.order_id else {})
    fields = {**ids, "kind": claim.kind.name, "outcome": record.label, **record.log_fields}
    # E-mails of a mailing are logged by the batch.
    (_log.debug if email.bulk else _log.info)("email", seconds=seconds, recorded=recorded, **fields)
    attributes = {"email": str(claim.email_id), "outcome": record.label}
    tracing.record("send_email", claim.order_id, seconds, ok=record.label == "SENT", attributes=attributes)
