"""Orders the weekly mailing when it is due, and a mailing by hand when an operator asks for it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from services.common.db.clock import from_datetime, to_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings
from services.common.db.mail.mailings import MailingProgress
from services.common.domain.errors import NotFound
from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import send_mailing
from services.common.newsletter import compose_content
from services.scheduler.weekly_schedule import WeeklyHour

_log = log.get(__name__)


@dataclass(frozen=True)
class Mailings:
    """The use cases, over what they need."""

    database: Database
    broker: Broker
    weekly_hour: WeeklyHour
    texts: Path | None = None
    """Folder with the operator's text."""
    connections: int = 1

    def order_weekly(self, now: datetime) -> UUID | None:
        """Order the weekly mailing if it is due at `now` and its week has none; its id.

        Raises:
            ConfigurationError: The operator's text cannot be read; to be tried again.
        """
        with self.database.read() as session:
            installed = to_datetime(mailings.installed_at(session))
            due = self.weekly_hour.latest_due(now, not_before=installed)
            if due is None or mailings.has_mailing(session, due.period):
                return None
        return self._order(due.period, due.at)

    def order_now(self, now: datetime) -> UUID | None:
        """Order a mailing by hand, whatever the hour; its id.

        Raises:
            ConfigurationError: The operator's text cannot be read.
        """
        return self._order(f"manual:{uuid4()}", now)

    def progress(self) -> list[MailingProgress]:
        """The newest mailings and how they stand."""
        with self.database.read() as session:
            return mailings.list_recent(session)

    def cancel(self, mailing_id: UUID) -> None:
        """Send no more of a mailing.

        Raises:
            NotFound: There is none that is being sent.
        """
        with self.database.write() as session:
            cancelled = mailings.cancel_mailing(session, mailing_id)
        if not cancelled:
            raise NotFound("mailing under way", str(mailing_id))
        _log.info("mailing cancelled", mailing=str(mailing_id))

    def _order(self, period: str, due_at: datetime) -> UUID | None:
        with self.database.write() as session:
            content = compose_content(session, due_at, self.texts)
            mailing_id = mailings.insert_mailing(session, period=period, due_at=from_datetime(due_at), content=content)
        if mailing_id:
            self.broker.send(send_mailing(mailing_id) for _ in range(self.connections))
            _log.info("mailing ordered", period=period)
        return mailing_id
