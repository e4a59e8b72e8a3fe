import asyncio
import email.policy
import json
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from services.stack.mailbox import start_mailbox
from services.stack.stored_emails import Emailbox


def deliver(emailbox: Emailbox, content: bytes, *recipients: str, options: tuple[str, ...] = ()) -> None:
    """One e-mail over real SMTP; the server answered 250."""

    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("from@example.org", recipients or ("to@example.org",), content, mail_options=options)

    async def run() -> None:
        server = await start_mailbox(emailbox, port=0)
        try:
            await asyncio.to_thread(send, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await asyncio.sleep(0)

    asyncio.run(run())


def order_email(*names: str, subject: str = "Your images are ready") -> EmailMessage:
    message = EmailMessage(email.policy.SMTP)
    message["Subject"], message["From"], message["To"] = subject, "from@example.org", "to@example.org"
    message.set_content("Ваши изображения\n")
    message.add_alternative("<p>Ваши изображения</p>\n", subtype="html")
    for name in names:
        message.add_attachment(name.encode(), maintype="application", subtype="zip", filename=name)
    return message


def test_a_email_becomes_a_folder(tmp_path: Path) -> None:
    content = order_email("blur_images.zip").as_bytes()
    deliver(Emailbox(tmp_path), content, "a@example.org", "b@example.org")
    folder = tmp_path / "0001-your-images-are-ready"
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "email.eml").read_bytes().strip() == content.strip()
    assert (folder / "body.txt").read_text("utf-8") == "Ваши изображения\n"
    assert (folder / "body.html").read_text("utf-8") == "<p>Ваши изображения</p>\n"
    assert (folder / "blur_images.zip").read_bytes() == b"blur_images.zip"
    envelope = json.loads((folder / "envelope.json").read_text("utf-8"))
    assert (envelope["from"], envelope["to"]) == ("from@example.org", ["a@example.org", "b@example.org"])


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    # Nothing here names a place outside tmp_path, even to code that believes it: somebody runs the tests as root.
    # What becomes of worse names is tried without a file system, in tests/unit/stack/test_emails.py.
    absolute = str(tmp_path / "absolute.txt")
    names = ["x/../../../outside.txt", absolute, "email.eml", "BODY.TXT", "..", "same.zip", "same.zip"]
    message = order_email(*names, subject="../escape")
    message.add_attachment(b"x", maintype="text", subtype="plain", filename="C:\\Windows\\x.ini")
    folder = tmp_path / "deep" / "mailbox" / "0001-escape"
    deliver(Emailbox(folder.parent), message.as_bytes())
    assert list(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert list((tmp_path / "deep").rglob("*escape*")) == [folder]
    assert [path for path in (tmp_path / "deep").rglob("*.txt") if path.parent != folder] == []
    own = {"email.eml", "envelope.json", "body.txt", "body.html"}
    expected = {
        "outside.txt",
        "absolute.txt",
        "email-2.eml",
        "BODY-2.TXT",
        "attachment",
        "same.zip",
        "same-2.zip",
        "x.ini",
    }
    assert {path.name for path in folder.rglob("*")} == own | expected
    assert b"Subject: ../escape" in (folder / "email.eml").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe not an e-mail",
        b"Subject: =?utf-8?b?broken\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nno boundary",
        b"Content-Type: text/plain; charset=no-such\r\n\r\n\xff",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" * 2000,
        b'Content-Disposition: attachment; filename="\xff/../y"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!',
    ],
)
def test_nonsense_is_kept_as_it_came(tmp_path: Path, content: bytes) -> None:
    email = Emailbox(tmp_path).store("", ["to@example.org"], content)
    assert (email.folder / "email.eml").read_bytes() == content
    assert [path.parent for path in tmp_path.rglob("email.eml")] == [email.folder]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        deliver(Emailbox(tmp_path), order_email(subject="x").as_bytes())
    (tmp_path / "10000-x").mkdir()
    (tmp_path / ".incoming-0007").mkdir()  # what a killed mailbox leaves
    deliver(Emailbox(tmp_path), order_email(subject="x").as_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001-x", "0002-x", "10000-x", "10001-x"]


def test_addresses_and_subjects_of_any_script(tmp_path: Path) -> None:
    message = order_email(subject="Привет, мир")
    content = message.as_bytes(policy=email.policy.SMTPUTF8)
    deliver(Emailbox(tmp_path), content, "вася@пример.рф", options=("SMTPUTF8", "BODY=8BITMIME"))
    (folder,) = tmp_path.iterdir()
    assert folder.name == "0001-привет-мир"
    assert "вася@пример.рф" in (folder / "envelope.json").read_text("utf-8")


def test_a_email_that_cannot_be_kept_is_refused_for_now(tmp_path: Path) -> None:
    emailbox = Emailbox(tmp_path / "mailbox")
    (tmp_path / "mailbox").rmdir()
    with pytest.raises(smtplib.SMTPDataError) as failure:
        deliver(emailbox, order_email().as_bytes())
    assert failure.value.smtp_code == 452


def test_a_large_email_is_taken(tmp_path: Path) -> None:
    message = order_email()
    message.add_attachment(bytes(5_000_000), maintype="image", subtype="png", filename="large.png")
    deliver(Emailbox(tmp_path), message.as_bytes())
    (attachment,) = tmp_path.rglob("large.png")
    assert attachment.stat().st_size == 5_000_000
