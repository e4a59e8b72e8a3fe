"""Records what other mail servers report about e-mails, and suppresses addresses for it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import mail_reports, mailboxes, subscribers, suppressions
from services.common.db.mail.mail_reports import ReportedEmail
from services.common.db.orders import orders
from services.common.domain.follow_up import FollowUp
from services.common.domain.mail import MailReportKind, Suppression
from services.common.domain.mail_reports import MailReport, parse_report
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra import log
from services.common.use_cases.after_commit import AfterCommit

_log = log.get(__name__)
_SUPPRESSIONS = {MailReportKind.HARD: Suppression.NO_MAILBOX, MailReportKind.COMPLAINT: Suppression.COMPLAINT}


@dataclass(frozen=True, kw_only=True)
class RecordedReport:
    """What a report means, and what it changed."""

    kind: MailReportKind | None
    matched: bool = False
    """The e-mail is known."""
    suppressed: bool = False
    """An address is suppressed that was not before."""
    status: str = ""
    understood: bool = True
    """The message is a report, of an e-mail that is known if it matters."""


@dataclass(frozen=True, kw_only=True)
class RecordMailReports:
    """The use case, with its dependencies.

    | report | newsletter | e-mails with results, confirmations |
    | --- | --- | --- |
    | hard bounce of any e-mail | suppressed | suppressed |
    | third soft bounce of newsletters | suppressed | go on |
    | complaint about a newsletter | suppressed | go on: their reader ordered them |
    | complaint about another e-mail | suppressed | suppressed: its reader did not ask for it |
    """

    database: Database
    after_commit: AfterCommit
    hasher: MailboxHasher

    def __call__(self, message: bytes, audit_context: AuditContext | None = None) -> RecordedReport:
        """Record a report as it arrived; a repeated one changes nothing."""
        report = parse_report(message)
        if report.kind is None:
            return RecordedReport(kind=None, status=report.status, understood=report.is_report)
        with self.database.write() as session:
            email = mail_reports.find_email(session, report.email_ids)
            if email is None:
                return RecordedReport(kind=report.kind, status=report.status, understood=False)
            suppressed = self._record(session, email, report, report.kind)
            if audit_context:
                audit.record(
                    session, audit_context, f"emails/{email.email_id}", kind=report.kind, suppressed=suppressed
                )
        _log.info(
            "e-mail reported", email=str(email.email_id), kind=report.kind, status=report.status, suppressed=suppressed
        )
        if email.order_id:
            self.after_commit(FollowUp(changed_order_ids=[email.order_id]))
        return RecordedReport(kind=report.kind, matched=True, suppressed=suppressed, status=report.status)

    def _record(self, session: Session, email: ReportedEmail, report: MailReport, kind: MailReportKind) -> bool:
        """Record a report of an e-mail; return whether an address is suppressed that was not before."""
        if email.order_id:
            orders.lock(session, email.order_id)
        # Locked first, as where a mailer suppresses a subscriber.
        subscriber = subscribers.find(session, email.address.casefold(), lock=True) if email.address else None
        if not mail_reports.record(session, email.email_id, kind):
            return False
        if email.delivery_id and kind is not MailReportKind.COMPLAINT:
            mail_reports.fail_delivery(session, email.delivery_id, report.detail)
        if kind is MailReportKind.SOFT:
            if subscriber is None or not email.is_newsletter:
                return False
            return subscribers.count_soft_bounce(session, subscriber.id, report.detail)
        suppression = _SUPPRESSIONS[kind]
        suppressed = subscriber is not None and subscribers.suppress(session, subscriber.id, report.detail, suppression)
        if email.address and (kind is MailReportKind.HARD or not email.is_newsletter):
            address = self.hasher.hash_address(email.address)
            suppressed |= suppressions.suppress(session, address, suppression, report.detail)
            mailboxes.delete_confirmation(session, self.hasher.hashes(email.address))
        return suppressed
