import asyncio
import email.policy
import errno
import logging
import mailbox
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
import structlog

from services.common.infra import log
from services.stack.embedded.mailbox import start_mailbox


def deliver(folder: Path, content: bytes, *recipients: str, options: tuple[str, ...] = ()) -> None:
    """Send one e-mail over real SMTP; the server answered 250."""

    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("from@example.org", recipients or ("to@example.org",), content, mail_options=options)

    async def run() -> None:
        server = await start_mailbox(folder, port=0)
        try:
            await asyncio.to_thread(send, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await asyncio.sleep(0)

    asyncio.run(run())


def order_email(subject: str = "Your images are ready") -> EmailMessage:
    message = EmailMessage(email.policy.SMTP)
    message["Subject"], message["From"], message["To"] = subject, "from@example.org", "to@example.org"
    message.set_content("Ваши изображения\n")
    return message


def stored(folder: Path) -> bytes:
    (path,) = (folder / "new").iterdir()
    return path.read_bytes()


def test_an_email_is_stored_below_its_envelope(tmp_path: Path) -> None:
    content = order_email().as_bytes()
    deliver(tmp_path, content, "a@example.org", "b@example.org")
    envelope = b"Return-Path: <from@example.org>\r\nDelivered-To: a@example.org\r\nDelivered-To: b@example.org\r\n"
    assert stored(tmp_path).strip() == (envelope + content).strip()


def test_content_that_is_no_email_is_stored_as_it_is(tmp_path: Path) -> None:
    deliver(tmp_path, b"\xff\xfe not an e-mail")
    assert stored(tmp_path).strip().endswith(b"\r\n\xff\xfe not an e-mail")


def test_an_email_is_one_line_at_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log.configure("INFO", "text")
    try:
        deliver(tmp_path, order_email().as_bytes())
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    shown = capsys.readouterr()
    assert (shown.out.count("\n"), shown.err) == (1, "")


def test_emails_are_kept_over_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        deliver(tmp_path, order_email().as_bytes())
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_addresses_and_subjects_of_any_script(tmp_path: Path) -> None:
    content = order_email("Привет, мир").as_bytes(policy=email.policy.SMTPUTF8)
    deliver(tmp_path, content, "вася@пример.рф", options=("SMTPUTF8", "BODY=8BITMIME"))
    message = email.message_from_bytes(stored(tmp_path), policy=email.policy.default)
    assert (message["Delivered-To"], message["Subject"]) == ("вася@пример.рф", "Привет, мир")


def test_an_email_that_cannot_be_stored_is_deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mailbox.Maildir, "add", disk_full)
    with pytest.raises(smtplib.SMTPDataError) as failure:
        deliver(tmp_path, order_email().as_bytes())
    assert failure.value.smtp_code == 452


def test_a_large_email_is_stored(tmp_path: Path) -> None:
    message = order_email()
    message.add_attachment(bytes(5_000_000), maintype="image", subtype="png", filename="large.png")
    deliver(tmp_path, message.as_bytes())
    assert len(stored(tmp_path)) > 5_000_000
