"""What an e-mail is handed to, and what may come of it."""

import re
from dataclasses import dataclass
from typing import IO, Protocol

from services.common.domain.errors import ImageBlurError

MAX_WORDS = 300


@dataclass(frozen=True)
class Envelope:
    """A message on its way: `content` from its beginning, `size` in bytes, lines end in CRLF."""

    sender: str
    recipient: str
    utf8: bool
    """The recipient or a header is not ASCII."""
    content: IO[bytes]
    size: int
    head: bytes = b""
    """What goes before the content: its signature."""


class Refused(ImageBlurError):
    """This recipient will not get this e-mail, however often it is tried; the text is the server's.

    bounced: because there is no such mailbox, which is so for every e-mail.
    """

    def __init__(self, words: str, *, bounced: bool = False) -> None:
        super().__init__(words)
        self.bounced = bounced


class NotTaken(ImageBlurError):
    """The e-mail was not taken for now; the text is the server's."""


class Unreachable(NotTaken):
    """No e-mail is taken for now; the text is the server's, or tells what the connection died of."""


class Sender(Protocol):
    """Takes e-mails."""

    def send(self, envelope: Envelope) -> str:
        """Hand an e-mail over; what the server said when it took it.

        Raises:
            Refused: It will never take it.
            NotTaken: It did not take it now.
        """


def tidy(words: str, recipient: str) -> str:
    """A server's words as one short line that does not tell the address again."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return re.sub(re.escape(recipient), "(address)", line, flags=re.IGNORECASE)[:MAX_WORDS]
