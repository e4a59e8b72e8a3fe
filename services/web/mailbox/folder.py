"""Read the Maildir of the one-machine stack, and show e-mails as a mail program would."""

import email
import email.policy
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from functools import cached_property
from pathlib import Path

MOST_LISTED = 100
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


@dataclass(frozen=True)
class Attachment:
    """A part of an e-mail that is a file: its number among all parts."""

    number: int
    name: str
    size: int


class Email:
    """An e-mail in its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    @cached_property
    def message(self) -> EmailMessage:
        """The e-mail itself."""
        return email.message_from_bytes(self._path.read_bytes(), policy=email.policy.default)

    @cached_property
    def headers(self) -> EmailMessage:
        """The e-mail's headers alone, however large the e-mail is."""
        with self._path.open("rb") as file:
            head = file.read(64 << 10).partition(b"\r\n\r\n")[0]
        return email.message_from_bytes(head, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """What it is about."""
        return " ".join(str(self.headers["Subject"] or "").split())

    @property
    def sender(self) -> str:
        """Who has sent it."""
        return str(self.headers["From"] or self.headers["Return-Path"] or "")

    @property
    def recipients(self) -> str:
        """To whom it was handed over."""
        return ", ".join(self.headers.get_all("Delivered-To", ()))

    @property
    def time(self) -> str:
        """When it came (ISO 8601)."""
        return datetime.fromtimestamp(self._path.stat().st_mtime, UTC).isoformat()

    @property
    def text(self) -> str:
        """Its plain text."""
        part = self.message.get_body(("plain",))
        return _text(part) if part else ""

    @property
    def html(self) -> str | None:
        """Its HTML."""
        part = self.message.get_body(("html",))
        return _text(part) if part else None

    @property
    def attachments(self) -> list[Attachment]:
        """Its files, but for pictures that its HTML shows."""
        return [
            Attachment(number, part.get_filename() or part.get_content_type(), len(content(part)))
            for number, part in self.parts()
            if part.is_attachment() or (part.get_filename() and not part["Content-ID"])
        ]

    def parts(self) -> Iterator[tuple[int, MIMEPart]]:
        """Its parts that have no parts themselves, numbered from 0."""
        yield from enumerate(part for part in self.message.walk() if not part.is_multipart())

    def part(self, number: int) -> MIMEPart | None:
        """A part by its number."""
        return dict(self.parts()).get(number)

    def pictures(self) -> dict[str, str]:
        """The pictures that the HTML shows, as `data:` addresses by what it calls them (`cid:`)."""
        return {
            str(part["Content-ID"]).strip().strip("<>"): f"data:{kind};base64,{b64encode(content(part)).decode()}"
            for _, part in self.parts()
            if part["Content-ID"] and (kind := part.get_content_type()) in PICTURES
        }


class EmailFolder:
    """All e-mails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> list[Email]:
        """The newest first, so many."""
        paths = sorted(self._paths(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [Email(path) for path in paths[:MOST_LISTED]]

    def find(self, name: str) -> Email | None:
        """An e-mail by its file's name."""
        return next((Email(path) for path in self._paths() if path.name == name), None)

    def _paths(self) -> list[Path]:
        return [*self._folder.glob("new/*"), *self._folder.glob("cur/*")]


def content(part: MIMEPart) -> bytes:
    """A part's bytes, as they were before they were made fit to travel."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: MIMEPart) -> str:
    try:
        return content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content(part).decode("utf-8", "replace")
