"""A real IMAP server (pymap) for tests, as a process on a free port of loopback, with one mailbox in memory."""

import imaplib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.ports import free_port
from tests.support.waiting import eventually

USER, PASSWORD = "bounces", "a password"


@dataclass(frozen=True)
class ImapMailbox:
    """The mailbox of the server."""

    port: int

    def put(self, message: bytes) -> None:
        """Deliver a message."""
        with self._open() as client:
            kind, answer = client.append("INBOX", "", "", message.replace(b"\n", b"\r\n"))
            assert kind == "OK", answer

    def flags(self) -> list[str]:
        """Return the flags of each message, in the order of arrival."""
        with self._open() as client:
            client.select("INBOX", readonly=True)
            _, answer = client.fetch("1:*", "(FLAGS)")
            return [part.decode() for part in answer if isinstance(part, bytes)]

    @contextmanager
    def _open(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.port) as client:
            client.login(USER, PASSWORD)
            yield client


@contextmanager
def imap_server(*options: str) -> Iterator[ImapMailbox]:
    """Run the server; without options, connections are not encrypted."""
    port = free_port()
    command: Sequence[str] = (
        *(
            sys.executable,
            "-c",
            "from pymap.main import main; main()",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *(options or ("--no-tls",)),
        ),
        *("dict", "--demo-user", USER, "--demo-password", PASSWORD),
    )
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(port))
        yield ImapMailbox(port)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        imaplib.IMAP4("127.0.0.1", port, timeout=5).logout()
    except (OSError, imaplib.IMAP4.error):
        return False
    return True
