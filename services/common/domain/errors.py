"""The errors of ImageBlur.

    ImageBlurError
    ├── InvalidArgument        a request is malformed; names each field
    ├── NotFound               no such order, image, …
    ├── FailedPrecondition     the request is valid, the state of the resource is not
    ├── MessageTooLarge        a message is over the limit of this method
    ├── ResourceExhausted      the service accepts no more work for now
    ├── Unauthenticated        there is no valid key
    ├── PermissionDenied       the key's role may not do this
    ├── ReadTimeout            the caller did not send in time
    ├── Unavailable            a dependency cannot be reached for now
    ├── ConfigurationError     a setting is wrong; the service does not start
    └── ImageError             this image cannot be blurred, whatever is done

Rules and use cases raise them; `services.gateway.rpc.errors` alone maps them to gRPC.
"""

from dataclasses import dataclass
from enum import StrEnum


class ImageBlurError(Exception):
    """Base of all errors that are raised on purpose; the text is for the caller."""


@dataclass(frozen=True)
class Violation:
    """One wrong field of a request."""

    field: str
    """Path of the field, such as `images[2].data`."""
    description: str
    """What is wrong, as a sentence without its full stop."""


class InvalidArgument(ImageBlurError):
    """A request is malformed, whatever the state of the service."""

    def __init__(self, *violations: Violation, reason: str = "INVALID_ARGUMENT") -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations
        self.reason = reason


class NotFound(ImageBlurError):
    """There is no such resource, or no longer."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f"there is no {resource} {name}")
        self.resource = resource
        self.name = name


class FailedPrecondition(ImageBlurError):
    """The request is well-formed, but its resource is not in the state for it."""

    def __init__(self, reason: str, subject: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject


class MessageTooLarge(ImageBlurError):
    """A message is over the limit of this method; another may accept it."""


class ResourceExhausted(ImageBlurError):
    """The service accepts no more work for now; the same call may succeed later."""

    def __init__(self, reason: str, subject: str, message: str, *, retry_seconds: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject
        """The limit that was reached."""
        self.retry_seconds = retry_seconds


class Unauthenticated(ImageBlurError):
    """The call has no key, or no valid one."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PermissionDenied(ImageBlurError):
    """The key is valid, but its role may not do this."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReadTimeout(ImageBlurError):
    """The caller did not send in time."""

    reason = "READ_TIMEOUT"


class Unavailable(ImageBlurError):
    """A dependency cannot be reached; the same call may succeed later."""


class ConfigurationError(ImageBlurError):
    """A setting is wrong or a database is at another version: the service must not start."""


class Reason(StrEnum):
    """Why an image, a delivery or an event for a webhook failed; the names of the interface's FailureReason."""

    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    UNSUPPORTED = "UNSUPPORTED"
    CORRUPT = "CORRUPT"
    TOO_LARGE = "TOO_LARGE"
    TIMED_OUT = "TIMED_OUT"
    CRASHED = "CRASHED"
    MAIL_REFUSED = "MAIL_REFUSED"
    MAIL_UNREACHABLE = "MAIL_UNREACHABLE"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    SOURCE_REFUSED = "SOURCE_REFUSED"
    TARGET_UNAVAILABLE = "TARGET_UNAVAILABLE"
    WEBHOOK_REFUSED = "WEBHOOK_REFUSED"
    INTERNAL = "INTERNAL"


class ImageError(ImageBlurError):
    """This image cannot be blurred, and trying again would not help."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
