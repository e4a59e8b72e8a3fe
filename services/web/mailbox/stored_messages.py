"""Messages in the local mailbox: a Maildir that `services.stack.mailbox` writes."""

import email
import email.policy
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from functools import cached_property
from pathlib import Path

MAX_LISTED = 100
IMAGE_TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


@dataclass(frozen=True)
class Attachment:
    """A part of a message that is a file. `number` counts all parts of the message."""

    number: int
    name: str
    size: int


class StoredMessage:
    """A message in its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed message."""
        return email.message_from_bytes(self._path.read_bytes(), policy=email.policy.default)

    @cached_property
    def headers(self) -> EmailMessage:
        """Only the headers, for a list that does not read large attachments."""
        with self._path.open("rb") as file:
            head = file.read(64 << 10).partition(b"\r\n\r\n")[0]
        return email.message_from_bytes(head, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """The subject on one line."""
        return " ".join(str(self.headers["Subject"] or "").split())

    @property
    def sender(self) -> str:
        """The From header, or else the sender of the SMTP envelope."""
        return str(self.headers["From"] or self.headers["Return-Path"] or "")

    @property
    def recipients(self) -> str:
        """The recipients of the SMTP envelope."""
        return ", ".join(self.headers.get_all("Delivered-To", ()))

    @property
    def time(self) -> str:
        """The time of receipt (ISO 8601)."""
        return datetime.fromtimestamp(self._path.stat().st_mtime, UTC).isoformat()

    @property
    def text(self) -> str:
        """The plain text body."""
        return self._body("plain") or ""

    @property
    def html(self) -> str | None:
        """The HTML body."""
        return self._body("html")

    @property
    def attachments(self) -> list[Attachment]:
        """The files, except images that the HTML shows."""
        return [
            Attachment(number, part.get_filename() or part.get_content_type(), len(content(part)))
            for number, part in self.parts()
            if part.is_attachment() or (part.get_filename() and not part["Content-ID"])
        ]

    def parts(self) -> Iterator[tuple[int, MIMEPart]]:
        """Yield the leaf parts, numbered from 0."""
        yield from enumerate(part for part in self.message.walk() if not part.is_multipart())

    def part(self, number: int) -> MIMEPart | None:
        """Return a leaf part by its number."""
        return dict(self.parts()).get(number)

    def inline_images(self) -> dict[str, str]:
        """Return the images of the HTML as `data:` URLs by their Content-ID."""
        return {
            str(part["Content-ID"]).strip().strip("<>"): f"data:{kind};base64,{b64encode(content(part)).decode()}"
            for _, part in self.parts()
            if part["Content-ID"] and (kind := part.get_content_type()) in IMAGE_TYPES
        }

    def _body(self, subtype: str) -> str | None:
        part = self.message.get_body((subtype,))
        if part is None:
            return None
        try:
            return content(part).decode(part.get_content_charset("utf-8"), "replace")
        except LookupError:  # unknown charset
            return content(part).decode("utf-8", "replace")


class MessageFolder:
    """All stored messages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> list[StoredMessage]:
        """Return the newest messages, newest first."""
        paths = sorted(self._paths(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [StoredMessage(path) for path in paths[:MAX_LISTED]]

    def find(self, name: str) -> StoredMessage | None:
        """Return a message by the name of its file."""
        return next((StoredMessage(path) for path in self._paths() if path.name == name), None)

    def _paths(self) -> list[Path]:
        return [*self._folder.glob("new/*"), *self._folder.glob("cur/*")]


def content(part: MIMEPart) -> bytes:
    """Return the decoded content of a part."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
