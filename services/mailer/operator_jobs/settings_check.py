"""Finds settings that keep e-mails from arriving, or take something from them."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.common.infra.settings import is_loopback
from services.mailer.mime.addresses import parse_sender
from services.mailer.settings import MailerSettings


@dataclass(frozen=True, kw_only=True)
class SettingWarning:
    """What a setting lacks."""

    code: str
    """Pages have their text by it."""
    detail: str = ""
    """The value that it is about."""
    message: str
    """A sentence in English."""


def find_warnings(settings: MailerSettings) -> Iterator[SettingWarning]:
    """Yield a warning for each setting that keeps e-mails from arriving, or takes a feature from them."""
    if settings.public_url is None:
        yield SettingWarning(
            code="no_public_url",
            message="IMAGEBLUR_PUBLIC_URL: not set, so e-mails have no links but commands for a shell, and the "
            "newsletter has no unsubscribe button",
        )
    elif not settings.public_url.startswith("https://"):
        yield SettingWarning(
            code="public_url_without_https",
            detail=settings.public_url,
            message="IMAGEBLUR_PUBLIC_URL: one-click unsubscription (RFC 8058) requires https",
        )
    domain = parse_sender(settings.mail_from).domain
    if domain == "localhost" or "." not in domain:
        yield SettingWarning(
            code="sender_without_domain",
            detail=domain,
            message=f"IMAGEBLUR_MAIL_FROM: other mail servers refuse senders at {domain!r}: set an address of your "
            "domain",
        )
    if settings.smtp_security == "none" and not is_loopback(settings.smtp_host):
        yield SettingWarning(
            code="unencrypted",
            detail=settings.smtp_host,
            message=f"IMAGEBLUR_SMTP_SECURITY: e-mails are sent to {settings.smtp_host} unencrypted: set starttls or "
            "tls",
        )
    if settings.dkim_key_file is None:
        yield SettingWarning(
            code="no_dkim",
            message="IMAGEBLUR_DKIM_KEY_FILE: e-mails are not signed; unless the relay signs them, large providers "
            "refuse bulk",
        )
    if settings.bounce_address is None:
        yield SettingWarning(
            code="no_bounces",
            message="IMAGEBLUR_BOUNCE_ADDRESS: not set, so e-mails that come back go to the sender's mailbox, and "
            "their addresses are not suppressed",
        )
