"""The errors of ImageBlur.

    ImageBlurError
    ├── InvalidArgument        a request is malformed; names each field
    ├── NotFound               no such order, image, …
    ├── FailedPrecondition     the request is fine, the state of the thing is not
    ├── TooLarge               over a limit of this server that another way in may not have
    ├── Busy                   there is as much to do as the service takes on for now
    ├── Unauthenticated        nobody knows who is asking
    ├── PermissionDenied       it is known who is asking, and that they may not
    ├── Stalled                what the caller was about to send did not come in time
    ├── Unavailable            something that the service needs is away for now
    ├── ConfigurationError     a setting is wrong; the service does not start
    └── ImageError             this image cannot be blurred, and never will be

Rules and use cases raise them; only the gateway's edge knows what they are in gRPC.
"""

from dataclasses import dataclass
from enum import StrEnum


class ImageBlurError(Exception):
    """Base of all errors that are raised on purpose; the text is meant for the person who asked."""


@dataclass(frozen=True)
class Violation:
    """One field of a request that is wrong."""

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
    """There is no such thing, or no longer."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f"there is no {resource} {name}")
        self.resource = resource
        self.name = name


class FailedPrecondition(ImageBlurError):
    """The request is well-formed, but what it is about is not in the state for it."""

    def __init__(self, reason: str, subject: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject


class TooLarge(ImageBlurError):
    """A message is over what this way in takes."""


class Busy(ImageBlurError):
    """There is as much to do as the service takes on; the same call may succeed later."""

    def __init__(self, reason: str, subject: str, message: str, *, retry_seconds: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject
        """What there is too much of."""
        self.retry_seconds = retry_seconds


class Unauthenticated(ImageBlurError):
    """There is no key with the call, or none that is valid."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PermissionDenied(ImageBlurError):
    """The key is valid, but its role is not one that may do this."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Stalled(ImageBlurError):
    """What the caller was about to send did not come in time."""

    reason = "READ_TIMEOUT"


class Unavailable(ImageBlurError):
    """Something that the service needs is away; the same call may succeed later."""


class ConfigurationError(ImageBlurError):
    """A setting is wrong or a database is at another version: the service must not start."""


class Reason(StrEnum):
    """Why an image or a delivery failed; the names of the interface's FailureReason."""

    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    UNSUPPORTED = "UNSUPPORTED"
    CORRUPT = "CORRUPT"
    TOO_LARGE = "TOO_LARGE"
    TIMED_OUT = "TIMED_OUT"
    CRASHED = "CRASHED"
    MAIL_REFUSED = "MAIL_REFUSED"
    MAIL_UNREACHABLE = "MAIL_UNREACHABLE"
    INTERNAL = "INTERNAL"


class ImageError(ImageBlurError):
    """This image cannot be blurred, and trying again would not help."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
