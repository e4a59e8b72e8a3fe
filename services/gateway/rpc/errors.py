"""Maps errors to gRPC statuses: code, message and google.rpc details. The only place that does."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    ResourceInfo,
    RetryInfo,
)

from services.common.domain.errors import (
    FailedPrecondition,
    ImageBlurError,
    InvalidArgument,
    MessageTooLarge,
    NotFound,
    PermissionDenied,
    ReadTimeout,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)
from services.common.infra.blobs import MissingBlob

DOMAIN = "imageblur"
RETRY_SECONDS = 2
# Clients replace a status of more than 8 KiB of metadata by another error.
MAX_VIOLATIONS = 20
MAX_DETAIL_BYTES = 4096
_WITH_REASON_ONLY = {
    Unauthenticated: code_pb2.UNAUTHENTICATED,
    PermissionDenied: code_pb2.PERMISSION_DENIED,
    ReadTimeout: code_pb2.DEADLINE_EXCEEDED,
}


def to_status(error: Exception) -> status_pb2.Status:
    """Return the status for an error. An unexpected error becomes INTERNAL, which reveals nothing about it."""
    match error:
        case InvalidArgument():
            violations = _limited(error.violations)
            return _status(
                code_pb2.INVALID_ARGUMENT,
                "; ".join(f"{v.field}: {v.description}" for v in violations),
                error.reason,
                BadRequest(field_violations=[_field_violation(v) for v in violations]),
            )
        case NotFound():
            return _status(
                code_pb2.NOT_FOUND,
                str(error),
                "NOT_FOUND",
                ResourceInfo(resource_type=error.resource, resource_name=error.name, description=str(error)),
            )
        case FailedPrecondition():
            violation = PreconditionFailure.Violation(type=error.reason, subject=error.subject, description=str(error))
            return _status(
                code_pb2.FAILED_PRECONDITION, str(error), error.reason, PreconditionFailure(violations=[violation])
            )
        case MissingBlob():
            return _status(
                code_pb2.NOT_FOUND,
                "the result was replaced by a revision, or removed with its order: ask again",
                "NOT_FOUND",
            )
        case MessageTooLarge():
            return _status(
                code_pb2.RESOURCE_EXHAUSTED,
                str(error),
                "MESSAGE_TOO_LARGE",
                QuotaFailure(violations=[QuotaFailure.Violation(subject="message", description=str(error))]),
            )
        case ResourceExhausted():
            return _status(
                code_pb2.RESOURCE_EXHAUSTED,
                str(error),
                error.reason,
                QuotaFailure(violations=[QuotaFailure.Violation(subject=error.subject, description=str(error))]),
                _retry_info(error.retry_seconds),
            )
        case Unauthenticated() | PermissionDenied() | ReadTimeout():
            return _status(_WITH_REASON_ONLY[type(error)], str(error), error.reason)
        case Unavailable():
            return _status(code_pb2.UNAVAILABLE, f"{error}; try again", "UNAVAILABLE", _retry_info(RETRY_SECONDS))
        case ImageBlurError():
            return _status(code_pb2.FAILED_PRECONDITION, str(error), "FAILED_PRECONDITION")
        case _:
            return _status(code_pb2.INTERNAL, "internal error; see the server's log", "INTERNAL")


def _status(code: int, message: str, reason: str, *details: Message) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in (ErrorInfo(reason=reason, domain=DOMAIN), *details):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _retry_info(seconds: float) -> RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(int(seconds * 1000))
    return RetryInfo(retry_delay=delay)


def _field_violation(violation: Violation) -> BadRequest.FieldViolation:
    return BadRequest.FieldViolation(field=violation.field, description=violation.description)


def _limited(violations: tuple[Violation, ...]) -> list[Violation]:
    kept: list[Violation] = []
    size = 0
    for violation in violations:
        # Twice, because a violation is in the message and in the details.
        size += 2 * len((violation.field + violation.description).encode()) + 16
        if len(kept) == MAX_VIOLATIONS or size > MAX_DETAIL_BYTES:
            kept.append(Violation(violations[0].field.partition("[")[0], f"and {len(violations) - len(kept)} more"))
            break
        kept.append(violation)
    return kept
