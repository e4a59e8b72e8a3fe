"""When e-mails of mailings may be sent."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.common.domain.mailing_times import MailingPlan, SendingWindow, local_instant

DAY = SendingWindow(begin=9 * 60, end=18 * 60)
NIGHT = SendingWindow(begin=22 * 60, end=6 * 60)
MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "closes_at", "opens_at"),
    [
        (DAY, "2026-12-07T05:59", None, "2026-12-07T06:00"),
        (DAY, "2026-12-07T06:00", "2026-12-07T15:00", "2026-12-07T06:00"),
        (DAY, "2026-12-07T15:00", None, "2026-12-08T06:00"),
        (NIGHT, "2026-12-07T18:59", None, "2026-12-07T19:00"),
        (NIGHT, "2026-12-07T20:00", "2026-12-08T03:00", "2026-12-07T20:00"),
        (NIGHT, "2026-12-07T02:00", "2026-12-07T03:00", "2026-12-07T02:00"),
    ],
)
def test_windows_open_and_close(window: SendingWindow, now: str, closes_at: str | None, opens_at: str) -> None:
    assert window.closes_at(at(now), MOSCOW) == (at(closes_at) if closes_at else None)
    assert window.opens_at(at(now), MOSCOW) == at(opens_at)


def test_windows_follow_the_clocks_when_they_change() -> None:
    assert DAY.opens_at(at("2026-10-24T20:00"), BERLIN) == at("2026-10-25T08:00"), "winter time begins that night"
    assert DAY.opens_at(at("2026-03-28T20:00"), BERLIN) == at("2026-03-29T07:00"), "summer time begins"


def test_a_local_time_comes_first_where_clocks_are_ahead() -> None:
    nine = datetime(2026, 12, 7, 9, 0)  # noqa: DTZ001 - by each reader's clock
    assert local_instant(nine, ZoneInfo("Pacific/Kiritimati")) == MailingPlan(local_time=nine).begins_at
    assert local_instant(nine, MOSCOW) == at("2026-12-07T06:00")
    skipped = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001
    assert local_instant(skipped, BERLIN) == at("2026-03-29T01:30"), "it is 3:30 then"


def test_plans_survive_as_json() -> None:
    plan = MailingPlan(
        send_at=at("2026-12-07T09:00"),
        local_time=datetime(2026, 12, 7, 9, 0),  # noqa: DTZ001
        time_zone="Europe/Moscow",
        window=DAY,
        per_hour=100,
    )
    assert MailingPlan.from_json(plan.to_json(), time_zone="Europe/Moscow") == plan
    assert MailingPlan.from_json(MailingPlan().to_json(), time_zone=None) == MailingPlan()
