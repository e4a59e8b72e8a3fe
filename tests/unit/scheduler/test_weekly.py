"""When the weekly mailing is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.weekly import WeeklyHour

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HOUR = WeeklyHour("mon", 12, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (timedelta(seconds=-1), False),
        (timedelta(0), True),
        (timedelta(hours=47), True),
        (timedelta(hours=49), False),
    ],
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
