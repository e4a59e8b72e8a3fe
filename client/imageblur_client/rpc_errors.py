"""Maps gRPC errors and google.rpc details to client errors. The only place that does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from imageblur_client.errors import (
    AccessDeniedError,
    FailedPreconditionError,
    FieldViolation,
    ImageBlurClientError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
    ServerUnavailableError,
)

_BY_CODE: dict[grpc.StatusCode, type[ImageBlurClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgumentError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: AccessDeniedError,
    grpc.StatusCode.PERMISSION_DENIED: AccessDeniedError,
    grpc.StatusCode.ABORTED: RetryableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RetryableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: RetryableError,
    grpc.StatusCode.UNAVAILABLE: ServerUnavailableError,
}

_Detail = TypeVar("_Detail", bound=Message)


@contextmanager
def mapped_errors(server: str) -> Iterator[None]:
    """Map gRPC errors of the block to ImageBlurClientError.

    Args:
        server: Address of the server, for error messages.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error, server) from error
    except grpc.FutureCancelledError as error:
        raise ImageBlurClientError("the call was cancelled", code=grpc.StatusCode.CANCELLED) from error


def from_rpc(error: grpc.RpcError, server: str) -> ImageBlurClientError:
    """Return the error for a gRPC error: with the server's message, or one about the connection."""
    code = error.code()
    from google.rpc import error_details_pb2  # noqa: PLC0415 - slow to load, for errors only

    kind = _BY_CODE.get(code, ImageBlurClientError)
    details = _details(error)
    if code is grpc.StatusCode.CANCELLED and error.details() == "CANCELLED":
        # By gRPC of a server that stops, which had not begun the call; what a caller cancels is "Locally cancelled".
        return ServerUnavailableError(f"the server at {server} is stopping", code=grpc.StatusCode.UNAVAILABLE)
    if details is None:
        return kind(_connection_message(code, error.details() or "", server), code=code)
    info = _first(details, error_details_pb2.ErrorInfo)
    retry = _first(details, error_details_pb2.RetryInfo)
    return kind(
        (error.details() or "").strip() or code.name,
        code=code,
        reason=info.reason if info else "",
        violations=tuple(_violations(details)),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
    )


def _details(error: grpc.RpcError) -> list[Message] | None:
    """Return the known google.rpc details; None without a valid google.rpc.Status."""
    from google.rpc import error_details_pb2  # noqa: PLC0415 - as above
    from grpc_status import rpc_status  # noqa: PLC0415

    try:
        # gRPC always raises the call itself, contrary to its types.
        status = rpc_status.from_call(cast("grpc.Call", error))
    except (ValueError, DecodeError):
        return None
    if status is None:
        return None
    kinds: tuple[type[Message], ...] = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.RetryInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
    )
    found: list[Message] = []
    for packed in status.details:
        for kind in kinds:
            message = kind()
            if packed.Is(kind.DESCRIPTOR) and packed.Unpack(message):
                found.append(message)
    return found


def _first(details: list[Message], kind: type[_Detail]) -> _Detail | None:
    return next((detail for detail in details if isinstance(detail, kind)), None)


def _violations(details: list[Message]) -> Iterator[FieldViolation]:
    from google.rpc import error_details_pb2  # noqa: PLC0415 - as above

    for detail in details:
        if isinstance(detail, error_details_pb2.BadRequest):
            yield from (FieldViolation(v.field, v.description) for v in detail.field_violations)
        elif isinstance(detail, error_details_pb2.PreconditionFailure | error_details_pb2.QuotaFailure):
            yield from (FieldViolation(v.subject, v.description) for v in detail.violations)


def _connection_message(code: grpc.StatusCode, details: str, server: str) -> str:
    """Return a message for an error of gRPC itself."""
    details = " ".join(details.split())
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the server at {server} did not respond in time: raise the timeout, or try again"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {server} does not have this method: does it run this version of ImageBlur?"
    if code is grpc.StatusCode.UNAVAILABLE:
        if re.match(r"failed to connect|errors resolving|DNS resolution", details):
            return f"cannot reach the server at {server}: {_cause(details)}"
        return f"lost the connection to the server at {server}: {details or 'no reason given'}"
    return details or f"the server at {server} returned {code.name} without a message"


def _cause(details: str) -> str:
    """Return the relevant part of gRPC's connection error, such as `connection refused`."""
    cause = re.split(r": | error: ", details)[-1].strip(" ])")
    return cause[:1].lower() + cause[1:]
