"""Parses the fields that operators' requests share; errors name the field."""

from google.protobuf.duration_pb2 import Duration

from services.common.domain.errors import InvalidArgument, Violation

MAX_SECONDS = 100 * 365 * 86_400


def parse_seconds(duration: Duration, field: str, *, minimum: int, maximum: int = MAX_SECONDS) -> int:
    """Return a duration in whole seconds.

    Raises:
        InvalidArgument: It is out of range.
    """
    if not minimum <= duration.seconds <= maximum or duration.nanos < 0:
        raise InvalidArgument(Violation(field, f"must be {minimum} to {maximum} seconds"))
    return duration.seconds
