"""`python -m services.stack.mailbox`: an SMTP server on loopback that only keeps what it gets, to be looked into."""

import asyncio
import signal
import sys

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.common.infra.startup import run
from services.stack.data_folder import Places
from services.stack.settings import StackSettings
from services.stack.stored_emails import Emailbox

LARGEST_EMAIL = 64 * 1024 * 1024


class Keeper:
    """Keeps every e-mail, one after the other, and answers when it is there to be read."""

    def __init__(self, emailbox: Emailbox) -> None:
        self._emailbox = emailbox
        self._turn = asyncio.Lock()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Keep an e-mail; the name is aiosmtpd's."""
        content = envelope.content
        assert isinstance(content, bytes), "the server does not decode"
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        try:
            async with self._turn:
                email = await asyncio.to_thread(self._emailbox.store, envelope.mail_from or "", recipients, content)
        except OSError as error:
            print(f"an e-mail could not be kept: {error}")
            return "452 4.3.1 the mailbox cannot keep it now"
        # A local mailbox for looking into: here, unlike anywhere else, addresses are shown.
        print(f"To: {', '.join(recipients)}  Subject: {email.subject}  {email.folder}")
        return "250 2.0.0 kept"


async def start_mailbox(emailbox: Emailbox, port: int) -> asyncio.Server:
    """Listen on loopback; port 0 takes any free one. Raises: OSError."""
    keeper = Keeper(emailbox)

    def connection() -> SMTP:
        return SMTP(
            keeper,
            data_size_limit=LARGEST_EMAIL,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="ImageBlur mailbox",
        )

    return await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port)


async def serve(settings: StackSettings) -> None:
    """Take e-mails until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder = Places(settings.data_dir.absolute()).mailbox
    server = await start_mailbox(Emailbox(folder), settings.mailbox_port)
    print(f"listening on 127.0.0.1:{settings.mailbox_port}, keeping e-mails in {folder}")
    await stop.wait()
    server.close()


def main() -> None:
    """Serve; exits with 78 when a setting is wrong."""
    settings = StackSettings.load()
    try:
        asyncio.run(serve(settings))
    except OSError as error:
        sys.exit(f"the mailbox cannot listen or write: {error}")


if __name__ == "__main__":
    run(main)
