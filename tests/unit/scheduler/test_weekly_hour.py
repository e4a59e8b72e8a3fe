"""When the weekly mailing is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.weekly_hour import WeeklyHour

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HOUR = WeeklyHour("mon", 12, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("after", "due"),
    [(timedelta(seconds=-1), False), (timedelta(0), True), (timedelta(hours=47), True), (timedelta(hours=49), False)],
)
def test_due_from_its_hour_on_for_two_days(after: timedelta, due: bool) -> None:
    found = HOUR.latest_due(MONDAY + after, not_before=LONG_AGO)
    assert (found is not None) is due
    if found:
        assert (found.period, found.at) == ("2026-W48", MONDAY)


def test_nothing_is_due_for_a_time_before_the_installation() -> None:
    assert HOUR.latest_due(MONDAY + timedelta(hours=2), not_before=MONDAY + timedelta(hours=1)) is None


@pytest.mark.parametrize(("day", "utc_hour"), [(23, 10), (30, 11)])
def test_the_hour_is_that_of_the_zone_through_a_change_of_clocks(day: int, utc_hour: int) -> None:
    # Paris leaves summer time on 25 October 2026: 12:00 is 10:00 UTC before, 11:00 after.
    hour = WeeklyHour("fri", 12, ZoneInfo("Europe/Paris"))
    at = datetime(2026, 10, day, utc_hour, tzinfo=UTC)
    assert hour.latest_due(at - timedelta(minutes=1), not_before=LONG_AGO) is None
    found = hour.latest_due(at, not_before=LONG_AGO)
    assert found
    assert found.at == at


def test_the_week_is_the_iso_week_at_the_turn_of_the_year() -> None:
    found = WeeklyHour("fri", 12, ZoneInfo("UTC")).latest_due(datetime(2027, 1, 1, 13, tzinfo=UTC), not_before=LONG_AGO)
    assert found
    assert found.period == "2026-W53"


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Moscow", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
)
@pytest.mark.parametrize(("day", "hour"), [("mon", 12), ("sun", 2), ("sun", 1), ("mon", 0)])
def test_each_week_has_its_mailing_once_at_its_hour_whatever_the_clocks_do(zone: str, day: str, hour: int) -> None:
    # Looked at each hour through two years of summer time and back, by schedulers that are always there.
    weekly = WeeklyHour(day, hour, ZoneInfo(zone))
    begin = datetime(2025, 12, 24, tzinfo=UTC)
    found: dict[str, datetime] = {}
    for hours in range(104 * 7 * 24):
        now = begin + timedelta(hours=hours)
        due = weekly.latest_due(now, not_before=begin)
        if due and due.period not in found:
            found[due.period] = due.at
            assert now - due.at < timedelta(hours=1), "late"
    assert len(found) == 104
    local = [at.astimezone(ZoneInfo(zone)) for at in found.values()]
    assert {at.strftime("%a").lower() for at in local} == {day}
    # An hour that a change of clocks leaves out is replaced by the one after, or what is left of it.
    assert sum(at.hour != hour for at in local) <= 2
    assert {at.hour for at in local} <= {hour, hour + 1}


def test_a_week_after_a_change_of_clocks_is_not_late() -> None:
    # As with APScheduler's trigger: at midnight in Berlin, of the day after summer time has begun, a day late.
    weekly = WeeklyHour("mon", 0, ZoneInfo("Europe/Berlin"))
    found = weekly.latest_due(datetime(2026, 3, 29, 22, tzinfo=UTC), not_before=LONG_AGO)
    assert found
    assert found.at == datetime(2026, 3, 29, 22, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_who_was_away_over_the_hour_catches_up_with_one_mailing(zone: str) -> None:
    weekly = WeeklyHour("mon", 12, ZoneInfo(zone))
    # Away for five weeks, back a day after a Monday: the last one is sent, those before are not.
    back = datetime(2026, 11, 24, 9, tzinfo=UTC)
    found = weekly.latest_due(back, not_before=back - timedelta(weeks=30))
    assert found
    assert found.period == "2026-W48"
