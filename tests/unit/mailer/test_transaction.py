import pytest

from services.mailer.operator_jobs.settings_check import find_warnings
from services.mailer.settings import MailerSettings
from services.mailer.smtp.reply_explanations import explain_reply
from services.mailer.smtp.transaction import is_no_mailbox


@pytest.mark.parametrize(
    ("reply", "of_recipient", "gone"),
    [
        ("550 5.1.1 no such user", True, True),
        ("550 5.1.1 no such user", False, True),
        ("550-5.1.10 null MX", True, True),
        ("553 5.1.2 no such domain", True, True),
        ("550 5.2.1 disabled", True, True),
        ("550 no such user", True, True),
        ("550 no such user", False, False),
        ("554 no such user", True, False),
        ("550 5.7.1 relaying denied", True, False),
        ("550 5.7.26 unauthenticated", False, False),
        ("552 5.2.2 full", True, False),
        ("552 5.3.4 too large", False, False),
        ("550 5.1.7 bad sender", True, False),
        ("550 5.1.13 whatever", True, False),
    ],
)
def test_a_bounce_is_about_the_mailbox(reply: str, of_recipient: bool, gone: bool) -> None:
    code, text = int(reply[:3]), reply[4:].encode()
    assert is_no_mailbox((code, text), of_recipient=of_recipient) == gone


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        ("550 5.1.1 unknown", "no such mailbox"),
        ("550-5.7.26 unauthenticated", "neither SPF nor DKIM"),
        ("550 no", "refused"),
        ("451 4.7.1 greylisted", "greylisting"),
        ("530 first", "login"),
        ("599 5.9.9 odd", "refused"),
        ("299 odd", "accepted"),
        ("", ""),
    ],
)
def test_replies_are_explained(reply: str, meaning: str) -> None:
    assert meaning in explain_reply(reply)


def test_settings_that_keep_emails_from_arriving_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_SECRET_KEY", "k" * 40)
    names = [
        warning.message.partition(":")[0].removeprefix("IMAGEBLUR_") for warning in find_warnings(MailerSettings.load())
    ]
    assert names == ["PUBLIC_URL", "MAIL_FROM", "DKIM_KEY_FILE", "BOUNCE_ADDRESS"]
    monkeypatch.setenv("IMAGEBLUR_SMTP_HOST", "relay.example.org")
    monkeypatch.setenv("IMAGEBLUR_MAIL_FROM", "blur@example.org")
    monkeypatch.setenv("IMAGEBLUR_PUBLIC_URL", "http://blur.example.org")
    monkeypatch.setenv("IMAGEBLUR_DKIM_KEY_FILE", "key.pem")
    monkeypatch.setenv("IMAGEBLUR_BOUNCE_ADDRESS", "bounces@example.org")
    names = [
        warning.message.partition(":")[0].removeprefix("IMAGEBLUR_") for warning in find_warnings(MailerSettings.load())
    ]
    assert names == ["PUBLIC_URL", "SMTP_SECURITY"]
