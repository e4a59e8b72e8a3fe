"""Parses the fields that requests of several services share; errors name the field."""

import contextlib
from collections.abc import Iterator
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.languages import DEFAULT_LANGUAGE, LANGUAGES
from services.common.domain.time_zones import known_time_zones


class Violations(list[Violation]):
    """Collects the invalid fields of a request."""

    def add(self, field: str, description: str) -> None:
        """Add a violation."""
        self.append(Violation(field, description))

    @contextlib.contextmanager
    def collect(self, prefix: str = "") -> Iterator[None]:
        """Collect the violations that the block raises, their fields prefixed by the path of the message, if given."""
        try:
            yield
        except InvalidArgument as error:
            path = prefix and f"{prefix}."
            self.extend(Violation(path + v.field, v.description) for v in error.violations)

    def raise_if_any(self) -> None:
        """Raise InvalidArgument if there are violations."""
        if self:
            raise InvalidArgument(*self)


def parse_email(text: str, field: str = "email") -> tuple[str, str]:
    """Return an address, normalized, and its key: equal for equal addresses."""
    if not text:
        raise InvalidArgument(Violation(field, "is required"))
    try:
        # Only the mail server knows whether mail can be delivered, and domains of private networks are valid.
        address = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise InvalidArgument(Violation(field, f"is not an e-mail address: {str(error).rstrip('.')}")) from None
    if "." not in address.domain:
        raise InvalidArgument(Violation(field, "is not an e-mail address: the domain has no dot"))
    return address.normalized, address.normalized.casefold()


def parse_id(text: str, field: str = "order_id") -> UUID:
    """Return an ID."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(Violation(field, "is required" if not text else "is not a UUID")) from None


def parse_request_id(text: str) -> UUID | None:
    """Return the idempotency key of a request, if it has one."""
    return parse_id(text, "request_id") if text else None


def parse_locale(text: str) -> str:
    """Return the language of e-mails: the requested one if it is available, else English."""
    language = text.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT_LANGUAGE


def parse_time_zone(text: str) -> str | None:
    """Return the name of a time zone; None if there is none."""
    if text and text not in known_time_zones():
        raise InvalidArgument(Violation("time_zone", "is not a known time zone: use a name such as Europe/Moscow"))
    return text or None
