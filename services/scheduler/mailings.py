"""Orders the weekly mailing when it is due, and a mailing by hand when an operator asks for it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from services.common import log
from services.common.broker import Broker
from services.common.db import mailings
from services.common.db.clock import from_datetime, to_datetime
from services.common.db.engine import Database
from services.common.messages import prepare_mailing
from services.scheduler.weekly import WeeklyHour

WEEK = timedelta(days=7)

_log = log.get(__name__)


@dataclass(frozen=True)
class Mailings:
    """The use cases, over what they need."""

    database: Database
    broker: Broker
    weekly_hour: WeeklyHour

    def order_weekly(self, now: datetime) -> UUID | None:
        """Order the weekly mailing if it is due at `now` and its week has none; its id."""
        with self.database.read() as session:
            installed = to_datetime(mailings.installed_at(session))
            due = self.weekly_hour.latest_due(now, not_before=installed)
            if due is None or mailings.exists_for(session, due.period):
                return None
        return self._order(due.period, due.at)

    def order_now(self, now: datetime) -> UUID | None:
        """Order a mailing by hand, whatever the hour; its id."""
        return self._order(f"manual:{uuid4()}", now)

    def _order(self, period: str, due_at: datetime) -> UUID | None:
        with self.database.write() as session:
            mailing_id = mailings.insert_mailing(
                session, period=period, due_at=from_datetime(due_at), content=_content(session, due_at)
            )
        if mailing_id:
            self.broker.send([prepare_mailing(mailing_id)])
            _log.info("mailing ordered", period=period)
        return mailing_id


def _content(session: Session, until: datetime) -> str:
    since = until - WEEK
    numbers = mailings.numbers_since(session, from_datetime(since))
    return json.dumps({**numbers, "from": since.isoformat(), "to": until.isoformat()})
