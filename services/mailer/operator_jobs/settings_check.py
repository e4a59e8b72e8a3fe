"""Finds settings that keep e-mails from arriving."""

from collections.abc import Iterator

from services.common.infra.settings import is_loopback
from services.mailer.mime.addresses import parse_sender
from services.mailer.settings import MailerSettings


def find_warnings(settings: MailerSettings) -> Iterator[str]:
    """Yield a sentence for each setting that keeps e-mails from arriving, or takes a feature from them."""
    domain = parse_sender(settings.mail_from).domain
    if domain == "localhost" or "." not in domain:
        yield f"IMAGEBLUR_MAIL_FROM: other mail servers reject senders at {domain!r}: set an address of your domain"
    if settings.smtp_security == "none" and not is_loopback(settings.smtp_host):
        yield f"IMAGEBLUR_SMTP_SECURITY: e-mails are sent to {settings.smtp_host} unencrypted: set starttls or tls"
    if settings.dkim_key_file is None:
        yield (
            "IMAGEBLUR_DKIM_KEY_FILE: e-mails are not signed; unless the relay signs them, large providers reject bulk"
        )
    if settings.public_url is None:
        yield "IMAGEBLUR_PUBLIC_URL: not set, so e-mails have no links, and the newsletter has no unsubscribe button"
    elif not settings.public_url.startswith("https://"):
        yield "IMAGEBLUR_PUBLIC_URL: one-click unsubscription (RFC 8058) requires https"
