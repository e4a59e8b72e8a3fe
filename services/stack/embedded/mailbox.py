"""`python -m services.stack.embedded.mailbox`: an SMTP server on loopback that keeps e-mails in a Maildir."""

import asyncio
import mailbox
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.common.infra.process.startup import run
from services.common.infra.process.stop_requests import on_stop
from services.stack.data_folder import DataFolder, sync_folder
from services.stack.settings import StackSettings

LARGEST_EMAIL = 64 * 1024 * 1024


class MailboxHandler:
    """Stores every e-mail that the server receives."""

    def __init__(self, folder: Path) -> None:
        for part in ("tmp", "new", "cur"):  # which Maildir creates only together with the folder
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._maildir = mailbox.Maildir(folder)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Store an e-mail below its envelope as headers (RFC 5321 4.4, RFC 9228). aiosmtpd calls it by this name."""
        assert isinstance(envelope.content, bytes), "the server does not decode"
        headers = [f"Return-Path: <{envelope.mail_from or ''}>"]
        headers += [f"Delivered-To: {recipient}" for recipient in envelope.rcpt_tos]
        try:
            key = self._maildir.add("".join(f"{line}\r\n" for line in headers).encode() + envelope.content)
            sync_folder(self._folder / "new")
        except OSError as error:
            print(f"cannot store an e-mail: {error}")
            return "452 4.3.1 cannot store the e-mail now"
        # Unlike a service's log, this one shows addresses: the mailbox is for the user of this machine.
        print(f"e-mail for {', '.join(map(str, envelope.rcpt_tos))}: new/{key}")
        return "250 2.0.0 stored"


async def start_mailbox(folder: Path, port: int) -> asyncio.Server:
    """Listen on loopback; port 0 takes a free one. Raises: OSError."""
    handler = MailboxHandler(folder)

    def connection() -> SMTP:
        return SMTP(
            handler,
            data_size_limit=LARGEST_EMAIL,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="ImageBlur mailbox",
        )

    return await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port)


async def serve(settings: StackSettings) -> None:
    """Receive e-mails until SIGTERM or Ctrl-C."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    on_stop(lambda: loop.call_soon_threadsafe(stop.set))
    folder = DataFolder(settings.data_dir.absolute()).mailbox
    server = await start_mailbox(folder, settings.mailbox_port)
    print(f"listening on 127.0.0.1:{settings.mailbox_port}, storing e-mails in {folder}")
    await stop.wait()
    server.close()


def main() -> None:
    """Serve. Exit with 78 if a setting is wrong."""
    settings = StackSettings.load()
    try:
        asyncio.run(serve(settings))
    except OSError as error:
        sys.exit(f"the mailbox cannot listen or store: {error}")


if __name__ == "__main__":
    run(main)
