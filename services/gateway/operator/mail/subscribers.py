"""Subscribers of the newsletter, for operators: import, export, suppression."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.clock import now, to_datetime
from services.common.db.engine import Database
from services.common.db.mail import subscriber_lists, subscribers, suppressions
from services.common.db.mail.subscriber_lists import ImportCounts, NewSubscriber
from services.common.db.models import AuditEntry, Subscriber
from services.common.domain.errors import FailedPrecondition
from services.common.domain.mail import SubscriberState, Suppression
from services.common.domain.mailboxes import MailboxHasher
from services.gateway.subscriptions.csv_rows import FORMULA, CsvRows, ImportDefaults, RejectedRow

SUBJECT = "people"
"""Subject of audit entries, which contain no address."""
BATCH = 500
"""Rows of one transaction."""
MAX_LISTED = 100
EXPORTED = (
    *("email", "language", "state", "time_zone", "source", "consent_date", "created", "confirmed"),
    *("suppression", "suppressed", "detail"),
)


@dataclass(frozen=True)
class SubscriberOperations:
    """The use cases; blocking."""

    database: Database
    hasher: MailboxHasher

    def begin_import(self, context: AuditContext, defaults: ImportDefaults) -> "Import":
        """Record in the audit log that an import begins."""
        entry_id = uuid4()
        with self.database.write() as session:
            session.add(
                AuditEntry(
                    id=entry_id,
                    created_at=session.scalar(select(now())),
                    principal=context.principal,
                    action=context.action,
                    subject=SUBJECT,
                    detail=json.dumps({"attested": defaults.attested}),
                )
            )
        return Import(database=self.database, hasher=self.hasher, rows=CsvRows(defaults), entry_id=entry_id)

    def export(self, context: AuditContext, state: SubscriberState | None) -> Iterator[bytes]:
        """Yield subscribers as CSV, a page at a time."""
        with self.database.write() as session:
            audit.record(session, context, SUBJECT, state=state or "all")
        yield _csv([EXPORTED])
        after: str | None = None
        while True:
            with self.database.read() as session:
                page = subscriber_lists.list_page(session, after=after, limit=BATCH, state=state)
            if not page:
                return
            after = page[-1].email_key
            yield _csv([_exported(subscriber) for subscriber in page])

    def suppress(self, context: AuditContext, email: str, email_key: str, detail: str) -> bool:
        """Suppress an address; False if it was suppressed."""
        with self.database.write() as session:
            suppressed = subscribers.suppress_address(
                session, email=email, email_key=email_key, reason=detail, suppression=Suppression.OPERATOR
            )
            audit.record(session, context, SUBJECT, suppressed=suppressed)
        return suppressed

    def lift_suppression(self, context: AuditContext, email_key: str, *, restore: bool) -> bool:
        """Lift the suppression of an address; False if it was not suppressed.

        Raises:
            FailedPrecondition: Its subscription is to be restored, and its owner has complained.
        """
        with self.database.write() as session:
            subscriber = subscribers.find(session, email_key)
            if restore and subscriber and subscriber.suppression == Suppression.COMPLAINT:
                message = "its owner has complained: lift the suppression without restoring the subscription"
                raise FailedPrecondition("HAS_COMPLAINED", SUBJECT, message)
            lifted = subscribers.lift_suppression(session, email_key, restore=restore)
            lifted |= suppressions.lift(session, self.hasher.address_hashes(email_key))
            if lifted:
                audit.record(session, context, SUBJECT, restored=restore)
        return lifted


@dataclass(kw_only=True)
class Import:
    """An import that is under way. Each batch is a transaction, which also brings its audit entry up to date."""

    database: Database
    hasher: MailboxHasher
    rows: CsvRows
    entry_id: UUID
    counts: ImportCounts = field(default_factory=ImportCounts)

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Import the rows that end within the next bytes of the file.

        Raises:
            InvalidArgument: It cannot be read any further.
        """
        batch: dict[str, NewSubscriber] = {}
        for row in self.rows.feed(data, final=final):
            if isinstance(row, RejectedRow):
                self.counts.rejected += 1
                if len(self.counts.rejected_lines) < MAX_LISTED:
                    self.counts.rejected_lines.append((row.line, row.message))
            elif batch.setdefault(row.email_key, row) is not row:
                self.counts.unchanged += 1
            elif len(batch) >= BATCH:
                self._write(list(batch.values()))
                batch.clear()
        if batch or final:
            self._write(list(batch.values()))

    def _write(self, rows: Sequence[NewSubscriber]) -> None:
        hashes = {self.hasher.hash_address(row.email_key): row for row in rows}
        with self.database.write() as session:
            suppressed = suppressions.list_suppressed(session, hashes.keys())
            self.counts.suppressed += len(suppressed)
            wanted = [row for key, row in hashes.items() if key not in suppressed]
            if wanted:
                subscriber_lists.import_rows(session, wanted, self.counts)
            self._audit(session)

    def _audit(self, session: Session) -> None:
        entry = session.get_one(AuditEntry, self.entry_id)
        numbers = {name: value for name, value in vars(self.counts).items() if isinstance(value, int)}
        entry.detail = json.dumps(json.loads(entry.detail) | numbers)


def _exported(subscriber: Subscriber) -> Sequence[str]:
    return (
        _safe(subscriber.email),
        subscriber.locale,
        subscriber.state,
        subscriber.time_zone or "",
        _safe(subscriber.source or ""),
        *map(_time, (subscriber.consent_at, subscriber.created_at, subscriber.confirmed_at)),
        subscriber.suppression or "",
        _time(subscriber.suppressed_at),
        _safe(subscriber.reason or ""),
    )


def _time(microseconds: int | None) -> str:
    return "" if microseconds is None else to_datetime(microseconds).isoformat(timespec="seconds")


def _safe(text: str) -> str:
    """Return a cell that spreadsheets do not take for a formula; an import removes the apostrophe again."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
