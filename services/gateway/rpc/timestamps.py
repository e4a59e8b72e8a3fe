"""Converts times of the database's clock to protobuf messages."""

from typing import overload

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.db.clock import SECOND


@overload
def timestamp(microseconds: int) -> Timestamp: ...
@overload
def timestamp(microseconds: int | None) -> Timestamp | None: ...
def timestamp(microseconds: int | None) -> Timestamp | None:
    """Return a time; None if it is None."""
    if microseconds is None:
        return None
    return Timestamp(seconds=microseconds // SECOND, nanos=microseconds % SECOND * 1000)


def duration(microseconds: int) -> Duration:
    """Return a duration (≥ 0)."""
    return Duration(seconds=microseconds // SECOND, nanos=microseconds % SECOND * 1000)
