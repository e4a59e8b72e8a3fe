"""The errors of the client.

    ImageBlurClientError
    ├── InvalidArgumentError        the request is malformed; `violations` names each field
    ├── FailedPreconditionError     the order is not in the required state
    ├── NotFoundError               the order or image does not exist
    ├── AccessDeniedError           the API key is missing, not valid, or its role is not sufficient
    ├── RetryableError              busy, over a limit, or timed out: the same call may succeed later
    │   └── ServerUnavailableError  the server cannot be reached, or is not ready
    └── BrokenDownloadError         the received bytes are incomplete or damaged

Other errors are ImageBlurClientError itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import grpc


@dataclass(frozen=True)
class FieldViolation:
    """One invalid field of a request, or one unmet precondition or exceeded limit."""

    field: str
    """Path of the field, such as `images[2].data`; for a precondition or a limit, its subject."""
    description: str
    """What is wrong."""


class ImageBlurClientError(Exception):
    """Base of all errors of the client; its text is one line for people."""

    default_code = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason
        """Reason of ErrorInfo, in UPPER_SNAKE_CASE; empty if the server sent none."""
        self.violations = tuple(violations)
        self.retry_after = retry_after
        """Seconds after which to retry; None if the server sent none."""

    def about(self, name: str) -> Self:
        """Return the same error with a name, such as that of a file, before its text and in place of its fields."""
        return type(self)(
            f"{name}: {self.violations[0].description if len(self.violations) == 1 else self.message}",
            code=self.code,
            reason=self.reason,
            violations=[FieldViolation(name, each.description) for each in self.violations],
            retry_after=self.retry_after,
        )


class InvalidArgumentError(ImageBlurClientError):
    """The request is malformed, regardless of the state of the service."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class FailedPreconditionError(ImageBlurClientError):
    """The request is valid, but the order is not in the required state."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class NotFoundError(ImageBlurClientError):
    """The order or image does not exist, or was deleted."""

    default_code = grpc.StatusCode.NOT_FOUND


class AccessDeniedError(ImageBlurClientError):
    """The API key is missing, not valid, or its role is not sufficient."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class RetryableError(ImageBlurClientError):
    """The same call may succeed later."""

    default_code = grpc.StatusCode.ABORTED


class ServerUnavailableError(RetryableError):
    """The server cannot be reached, has disconnected, or is not ready."""

    default_code = grpc.StatusCode.UNAVAILABLE


class BrokenDownloadError(ImageBlurClientError):
    """A received file is incomplete or damaged; nothing of it was kept."""

    default_code = grpc.StatusCode.DATA_LOSS
