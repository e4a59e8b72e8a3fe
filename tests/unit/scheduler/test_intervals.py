"""The jobs' intervals when the system's clock is set forward."""

from datetime import UTC, datetime, timedelta

from services.scheduler.jobs import _Interval

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_what_was_missed_is_not_counted() -> None:
    interval, decades = _Interval(5), timedelta(days=365 * 50)
    assert interval.get_next_fire_time(None, NOW) == NOW
    assert interval.get_next_fire_time(NOW, NOW) == NOW + timedelta(seconds=5)
    assert interval.get_next_fire_time(NOW, NOW + decades) == NOW + decades + timedelta(seconds=5)
