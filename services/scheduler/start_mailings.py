"""Makes the mailing of the week when it is due."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.clock import from_datetime, now, to_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings
from services.common.domain.follow_up import FollowUp
from services.common.infra import log
from services.common.infra.messaging.broker import Broker
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.newsletter_content import compose_content, refresh_numbers
from services.scheduler.weekly_hour import WeeklyHour

_log = log.get(__name__)
_STARTED = AuditContext(audit.SCHEDULER, "StartMailing")


@dataclass(frozen=True)
class StartMailings:
    """The use case, over what it needs."""

    database: Database
    broker: Broker
    weekly_hour: WeeklyHour
    texts: Path | None = None
    """Folder with the operator's text."""
    connections: int = 1
    """Messages that a mailing begins with."""

    def start_scheduled(self) -> None:
        """Begin to send scheduled mailings whose time has come."""
        started = []
        with self.database.write() as session:
            for mailing in mailings.list_to_start(session):
                content = refresh_numbers(session, mailing.content, to_datetime(session.scalar(select(now())) or 0))
                mailings.start(session, mailing, content)
                audit.record(session, _STARTED, f"mailings/{mailing.id}")
                started.append(mailing.id)
        if started:
            after_commit = AfterCommit(database=self.database, broker=self.broker)
            after_commit(FollowUp(mailing_ids=started * self.connections))
            _log.info("scheduled mailings started", count=len(started))

    def time(self) -> datetime:
        """Return the time by the database's clock: that of this machine may be wrong."""
        with self.database.read() as session:
            return to_datetime(session.scalar(select(now())) or 0)

    def start_weekly(self, at: datetime) -> UUID | None:
        """Make the mailing that is due at a time unless its week has one; return its id.

        Raises:
            ConfigurationError: The operator's text cannot be read; to be tried again.
        """
        with self.database.read() as session:
            installed = to_datetime(mailings.installed_at(session))
            due = self.weekly_hour.latest_due(at, not_before=installed)
            if due is None or mailings.has_mailing(session, due.period):
                return None
        with self.database.write() as session:
            content = compose_content(session, due.at, self.texts)
            mailing_id = mailings.insert_mailing(
                session, period=due.period, due_at=from_datetime(due.at), content=content
            )
            if mailing_id:
                audit.record(session, _STARTED, f"mailings/{mailing_id}", period=due.period)
        if mailing_id:
            after_commit = AfterCommit(database=self.database, broker=self.broker)
            after_commit(FollowUp(mailing_ids=[mailing_id] * self.connections))
            _log.info("mailing made", period=due.period)
        return mailing_id
