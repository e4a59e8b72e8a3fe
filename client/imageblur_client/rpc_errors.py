"""From gRPC's errors to ours: the one place that knows google.rpc's details."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from imageblur_client.errors import (
    AccessDenied,
    FailedPrecondition,
    ImageBlurClientError,
    InvalidArgument,
    NotFound,
    ServerUnavailable,
    TryAgain,
    Violation,
)

_BY_CODE: dict[grpc.StatusCode, type[ImageBlurClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
    grpc.StatusCode.ABORTED: TryAgain,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TryAgain,
    grpc.StatusCode.DEADLINE_EXCEEDED: TryAgain,
    grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
}
_Detail = TypeVar("_Detail", bound=Message)


@contextmanager
def translated(server: str) -> Iterator[None]:
    """Raises what gRPC raises inside as an ImageBlurClientError that names the server where it is about it."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error, server) from error
    except grpc.FutureCancelledError as error:
        raise ImageBlurClientError("the call was cancelled", code=grpc.StatusCode.CANCELLED) from error


def from_rpc(error: grpc.RpcError, server: str) -> ImageBlurClientError:
    """The error for a person: the server's own words where it spoke, otherwise what became of the connection."""
    code = error.code()
    kind = _BY_CODE.get(code, ImageBlurClientError)
    details = _details(error)
    if details is None:
        return kind(_unexplained(code, error.details() or "", server), code=code)
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
    """The google.rpc details that this client knows; None when there is no (sound) google.rpc.Status at all."""
    try:
        # What gRPC raises is always the call itself, though its types do not say so.
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


def _violations(details: list[Message]) -> Iterator[Violation]:
    for detail in details:
        if isinstance(detail, error_details_pb2.BadRequest):
            yield from (Violation(v.field, v.description) for v in detail.field_violations)
        elif isinstance(detail, error_details_pb2.PreconditionFailure | error_details_pb2.QuotaFailure):
            yield from (Violation(v.subject, v.description) for v in detail.violations)


def _unexplained(code: grpc.StatusCode, details: str, server: str) -> str:
    """Words for an error that did not come from the service itself but from gRPC at one of the ends."""
    details = " ".join(details.split())
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the server at {server} did not answer in time"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {server} does not know this call: is it an ImageBlur of this version?"
    if code is grpc.StatusCode.UNAVAILABLE:
        if re.match(r"failed to connect|errors resolving|DNS resolution", details):
            return f"cannot reach the server at {server}: {_cause(details)}"
        return f"lost the connection to the server at {server}: {details or 'no reason given'}"
    return details or f"the server at {server} answered {code.name} without a reason"


def _cause(details: str) -> str:
    """The part of gRPC's connection error that means something: `connection refused`."""
    cause = re.split(r": | error: ", details)[-1].strip(" ])")
    return cause[:1].lower() + cause[1:]
