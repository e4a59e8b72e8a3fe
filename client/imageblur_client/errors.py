"""What can go wrong when talking to a server.

    ImageBlurClientError
    ├── InvalidArgument        the request is malformed; `violations` names each field
    ├── FailedPrecondition     the request is fine, the state of the order is not
    ├── NotFound               no such order or image
    ├── AccessDenied           no key, a wrong one, or one that may not do this
    ├── TryAgain               busy, over a quota, or out of time: the same call may succeed later
    │   └── ServerUnavailable  the server cannot be reached, or is not ready
    └── BrokenDownload         what arrived is not what the server has

Anything else is an ImageBlurClientError itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a request, or in the way of it."""

    field: str
    """Path of the field, such as `images[2].data`; for a precondition or a quota, what it is about."""
    description: str
    """What is wrong."""


class ImageBlurClientError(Exception):
    """Base of all errors that are raised on purpose; its text is a line for a person."""

    default_code = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason
        """ErrorInfo's reason, in UPPER_SNAKE_CASE; empty when the server gave none."""
        self.violations = tuple(violations)
        self.retry_after = retry_after
        """Seconds after which the server asks to try again; None when it does not say."""


class InvalidArgument(ImageBlurClientError):
    """The request is malformed, whatever the state of the service."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class FailedPrecondition(ImageBlurClientError):
    """The request is well-formed, but the order is not in the state for it."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class NotFound(ImageBlurClientError):
    """There is no such order or image, or no longer."""

    default_code = grpc.StatusCode.NOT_FOUND


class AccessDenied(ImageBlurClientError):
    """The server wants a key, or another one."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class TryAgain(ImageBlurClientError):
    """Not now: the same call may succeed later."""

    default_code = grpc.StatusCode.ABORTED


class ServerUnavailable(TryAgain):
    """The server cannot be reached, went away, or is not ready."""

    default_code = grpc.StatusCode.UNAVAILABLE


class BrokenDownload(ImageBlurClientError):
    """A file that arrived differs from what the server said it sends; nothing of it was kept."""

    default_code = grpc.StatusCode.DATA_LOSS
