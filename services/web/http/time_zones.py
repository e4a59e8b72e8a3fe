"""Times of a form: as its browser's clock shows them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.timestamp_pb2 import Timestamp


def known_zone(name: str) -> str:
    """Return the name of a time zone; empty if it is unknown here: browsers may know newer ones."""
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""


def to_timestamp(text: str, zone: str) -> Timestamp | None:
    """Return a time such as `2026-12-07T09:00` in a zone; None if it is no time."""
    try:
        time = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(known_zone(zone) or "UTC")).astimezone(UTC)
        timestamp = Timestamp()
        timestamp.FromDatetime(time)
    except (ValueError, OverflowError):
        return None
    return timestamp
