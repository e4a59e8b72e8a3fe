"""The mailbox on an IMAP server (RFC 3501), as much of it as reading reports takes."""

import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from services.common.domain.errors import Unavailable

TIMEOUT_SECONDS = 30.0
MAX_MESSAGES = 200
"""Messages of one reading; the next one begins with the others."""


@dataclass(frozen=True, kw_only=True)
class ImapServer:
    """Where the mailbox is."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    user: str
    password: str
    folder: str

    @contextmanager
    def open(self) -> Iterator["ImapFolder"]:
        """Open the folder.

        Raises:
            Unavailable: The server cannot be reached, or refuses the login or the folder.
        """
        with _translated_errors():
            client = self._connect()
            try:
                client.login(self.user, self.password)
                _check(client.select(_quoted(self.folder)))
                yield ImapFolder(client)
            finally:
                with suppress(imaplib.IMAP4.error, OSError):
                    client.logout()

    def _connect(self) -> imaplib.IMAP4:
        tls = ssl.create_default_context() if self.security != "none" else None
        if self.security == "tls":
            return imaplib.IMAP4_SSL(self.host, self.port, ssl_context=tls, timeout=TIMEOUT_SECONDS)
        client = imaplib.IMAP4(self.host, self.port, timeout=TIMEOUT_SECONDS)
        if self.security == "starttls":
            client.starttls(tls)
        return client


@dataclass(frozen=True)
class ImapFolder:
    """An open folder."""

    client: imaplib.IMAP4

    def list_new(self) -> list[bytes]:
        """Return the UIDs of the oldest messages that are not read."""
        (found,) = _check(self.client.uid("SEARCH", "UNSEEN"))
        return (found or b"").split()[:MAX_MESSAGES]

    def fetch(self, uid: bytes, size: int) -> bytes:
        """Return the beginning of a message, at most so many bytes, without marking it as read."""
        parts = _check(self.client.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{size}>)"))
        return next((part[1] for part in parts if isinstance(part, tuple)), b"")

    def mark(self, uid: bytes, *, understood: bool) -> None:
        """Mark a message as read; one that was not understood also as flagged, for people."""
        flags = r"(\Seen)" if understood else r"(\Seen \Flagged)"
        _check(self.client.uid("STORE", uid.decode(), "+FLAGS.SILENT", flags))


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (imaplib.IMAP4.error, OSError) as error:
        raise Unavailable(f"the mailbox of bounces cannot be read: {error}") from error


def _check(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(" ".join(part.decode("utf-8", "replace") for part in data if isinstance(part, bytes)))
    return data


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
