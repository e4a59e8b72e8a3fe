"""Signs e-mails (DKIM, RFC 6376), whose bodies may be too large to be held in memory."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dkim

from services.common.domain.errors import ConfigurationError

SIGNED = (
    *("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "Auto-Submitted"),
    *("MIME-Version", "Content-Type", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
)
_SEALED = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To")
"""Named once more than they are there: who adds another one on the way breaks the signature."""


class BodyHash:
    """The hash of a body (canonicalization `simple`): as it is, but of line ends at its end only one counts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._ends = b""

    def update(self, data: bytes) -> None:
        """The next bytes of the body."""
        data = self._ends + data
        body = data.rstrip(b"\r\n")
        self._ends = data[len(body) :]
        self._hash.update(body)

    def digest(self) -> bytes:
        """Of a body that has ended."""
        ended = self._hash.copy()
        ended.update(b"\r\n")
        return ended.digest()


@dataclass(frozen=True)
class Signer:
    """A key and where its public half is found: `<selector>._domainkey.<domain>`."""

    key: bytes
    """PEM, RSA, PKCS#1."""
    selector: str
    domain: str

    @classmethod
    def load(cls, path: Path | None, selector: str, domain: str) -> Self | None:
        """The signer as set; None without a key.

        Raises:
            ConfigurationError: The key cannot be used.
        """
        if path is None:
            return None
        try:
            signer = cls(path.read_bytes(), selector, domain)
            signer.sign(b"From: a@b.c\r\n", BodyHash())
        except OSError as error:
            raise ConfigurationError(f"IMAGEBLUR_DKIM_KEY_FILE: {path} cannot be read: {error}") from None
        except dkim.DKIMException:
            raise ConfigurationError(
                f"IMAGEBLUR_DKIM_KEY_FILE: {path} is not an RSA key in PKCS#1 PEM: make one with "
                "'openssl genrsa -traditional 2048'"
            ) from None
        return signer

    def sign(self, head: bytes, body: BodyHash) -> bytes:
        """The header field to put before a message. `head`: its header fields, each ending in CRLF."""
        message = _Hashed(head + b"\r\n", body.digest())
        there = {name.lower() for name, _ in message.headers}
        names = [name.lower().encode() for name in SIGNED if name.lower().encode() in there]
        field: bytes = message.sign(
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=[*names, *(name.lower().encode() for name in _SEALED)],
        )
        return field


class _Hashed(dkim.DKIM):  # type: ignore[misc] # it has no types
    """The library's signer for a body that it does not see, but whose hash is known."""

    def __init__(self, message: bytes, digest: bytes) -> None:
        super().__init__(message)
        self._body_hash = base64.b64encode(digest)

    def gen_header(self, fields: list[tuple[bytes, bytes]], *arguments: Any, **options: Any) -> Any:
        """Build the field, with our hash of the body in it; called by `sign`."""
        ours = [(name, self._body_hash if name == b"bh" else value) for name, value in fields]
        return super().gen_header(ours, *arguments, **options)
