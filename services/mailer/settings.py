"""Settings of the mailer."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.common.infra.settings import (
    CommonSettings,
    MailingSettings,
    OutboundSettings,
    RecipientSettings,
    SigningSettings,
    is_loopback,
    metrics_port,
)
from services.mailer.mime.addresses import BounceAddress, parse_sender


class MailerSettings(CommonSettings, SigningSettings, MailingSettings, RecipientSettings, OutboundSettings):
    """Settings that only the mailer reads, and those that it shares."""

    mailer_metrics_port: int = metrics_port(9466, "the mailer")
    smtp_host: str = Field(default="127.0.0.1", description="The mail server (relay) that all e-mails are sent to.")
    smtp_port: int = Field(
        default=1025, ge=1, le=65535, description="Its port: usually 587 with STARTTLS, 465 with TLS."
    )
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="none",
        description="How the connection is encrypted: `starttls`, `tls` from the first byte, or `none`. Certificates "
        "are checked against the system's authorities, or the file that `SSL_CERT_FILE` names.",
    )
    smtp_user: str | None = Field(
        default=None, description="Name to log in with; without one, the mailer does not log in."
    )
    smtp_password: SecretStr | None = Field(default=None, validate_default=True, description="Password to log in with.")
    smtp_timeout_seconds: int = Field(
        default=300,
        ge=1,
        description="Longest wait for the mail server at each step: for a reply, or until it reads the next part of an "
        "e-mail. RFC 5321 (4.5.3.2) requires up to 5 minutes: servers look up senders and recipients, or delay "
        "strangers. However large an e-mail is and however slowly the server reads it, it arrives.",
    )
    smtp_accept_seconds: int = Field(
        default=600,
        ge=1,
        description="Longest wait for the reply to a whole e-mail, while the mail server filters and stores it: 10 "
        "minutes by RFC 5321. If none comes, the server may have the e-mail nevertheless, and the next attempt may be "
        "a second copy; after 3 attempts there is no other.",
    )
    smtp_rate: float | None = Field(
        default=None,
        gt=0,
        description="Most e-mails a second to the mail server, from all mailers together; order and confirmation "
        "e-mails may exceed it by two seconds' worth, and pass a mailing. Default: no limit.",
    )
    mail_from: str = Field(
        default="ImageBlur <imageblur@localhost>",
        description="Sender of all e-mails, as `Name <address>`; its domain also ends their Message-IDs.",
    )
    mail_reply_to: str | None = Field(
        default=None, description="Address for replies to e-mails; default: IMAGEBLUR_MAIL_FROM."
    )
    bounce_address: str | None = Field(
        default=None,
        description="Where mail servers return e-mails that they cannot deliver, such as `bounces+{id}@example.org`: "
        "`{id}` becomes the ID of the e-mail, by which every report is matched; without it, reports are matched by the "
        "Message-ID that they quote. The mailbox is read by IMAGEBLUR_BOUNCE_IMAP_HOST, or piped to "
        "`imageblur admin bounce`. Default: the address of IMAGEBLUR_MAIL_FROM.",
    )
    bounce_imap_host: str | None = Field(
        default=None,
        description="IMAP server of the mailbox that bounces and complaints arrive in. Mailers read its new messages "
        "every IMAGEBLUR_BOUNCE_IMAP_SECONDS, mark them as read, and flag those that they do not understand.",
    )
    bounce_imap_port: int = Field(default=993, ge=1, le=65535, description="Its port: 993 with TLS, else 143.")
    bounce_imap_security: Literal["none", "starttls", "tls"] = Field(
        default="tls", description="How that connection is encrypted, as IMAGEBLUR_SMTP_SECURITY."
    )
    bounce_imap_user: str = Field(default="", validate_default=True, description="Name to log in with.")
    bounce_imap_password: SecretStr | None = Field(
        default=None, validate_default=True, description="Password to log in with."
    )
    bounce_imap_folder: str = Field(default="INBOX", min_length=1, description="Folder to read.")
    bounce_imap_seconds: int = Field(
        default=20, ge=1, le=86_400, description="Interval at which the folder is read, by one mailer at a time."
    )
    dkim_key_file: Path | None = Field(
        default=None,
        description="PEM file with the RSA key that signs e-mails (DKIM), for the domain of IMAGEBLUR_MAIL_FROM; see "
        "docs/deliverability.md. Without it the relay has to sign them.",
    )
    dkim_selector: str = Field(
        default="imageblur", pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", description="Selector of that key."
    )
    mail_templates_dir: Path | None = Field(
        default=None,
        description="Folder with your own texts of e-mails in the place of ImageBlur's: files such as "
        "`goodbye/en/body.txt`, of the names and with the values of those in `services/mailer/templates` (see "
        "docs/mailing.md). They are checked when the mailer starts. Those that operators store take precedence.",
    )
    mail_warnings: bool = Field(
        default=True,
        description="Whether the log and the operators' overview show what these settings lack, such as links in "
        "e-mails. `make run` turns it off as long as it keeps all e-mails in its own mailbox.",
    )
    attachment_limit_mb: float = Field(
        default=18,
        gt=0,
        description="Largest attachment in millions of bytes, base64-encoded (a third more than the archive). For "
        "larger archives e-mails contain a link if IMAGEBLUR_PUBLIC_URL is set; else up to 5 e-mails carry the parts.",
    )
    public_url: str | None = Field(
        default=None,
        description="Public URL of the web pages, such as `https://blur.example.org`: e-mails then contain links to "
        "the order, to large archives, to confirm and to unsubscribe. Without it they contain commands.",
    )
    emails_per_hour: int = Field(
        default=60,
        ge=1,
        description="Most order e-mails to one mailbox in an hour, however its address is written (capital letters, "
        "`+tags`, the dots of Gmail); further ones wait, so that no one can flood it.",
    )
    mailer_threads: int = Field(
        default=4, ge=1, description="E-mails that this mailer sends at a time, those of a mailing not counted."
    )
    webhook_connections: int = Field(
        default=4,
        ge=1,
        description="Events that this mailer posts to webhooks at a time, at most half of them to one host.",
    )

    @field_validator("smtp_user")
    @classmethod
    def _check_password_is_encrypted(cls, value: str | None, info: ValidationInfo) -> str | None:
        host = info.data.get("smtp_host", "")
        if value and info.data.get("smtp_security") == "none" and not is_loopback(host):
            raise ValueError(
                f"the password would be sent to {host} unencrypted: set IMAGEBLUR_SMTP_SECURITY to starttls or tls"
            )
        return value

    @field_validator("smtp_password")
    @classmethod
    def _check_password_is_set(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        user = info.data.get("smtp_user")
        if user and value is None:
            raise ValueError("must be set when IMAGEBLUR_SMTP_USER is")
        if "\0" in (user or "") or (value and "\0" in value.get_secret_value()):
            raise ValueError("neither it nor IMAGEBLUR_SMTP_USER may contain a NUL (RFC 4616)")
        return value

    @field_validator("mail_from", "mail_reply_to")
    @classmethod
    def _check_sender(cls, value: str | None) -> str | None:
        if value is not None:
            parse_sender(value)
        return value

    @field_validator("bounce_address")
    @classmethod
    def _check_bounce_address(cls, value: str | None) -> str | None:
        if value is not None:
            BounceAddress.parse(value)
        return value

    @field_validator("bounce_imap_user")
    @classmethod
    def _check_imap_password_is_encrypted(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("bounce_imap_host")
        if host and not value:
            raise ValueError("must be set when IMAGEBLUR_BOUNCE_IMAP_HOST is")
        if host and info.data.get("bounce_imap_security") == "none" and not is_loopback(host):
            raise ValueError(
                f"the password would be sent to {host} unencrypted: set IMAGEBLUR_BOUNCE_IMAP_SECURITY to tls"
            )
        return value

    @field_validator("bounce_imap_password")
    @classmethod
    def _check_imap_password_is_set(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("bounce_imap_host") and value is None:
            raise ValueError("must be set when IMAGEBLUR_BOUNCE_IMAP_HOST is")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or not _is_plain(value):
            raise ValueError("must be a URL such as https://blur.example.org")
        if url.path.strip("/"):
            raise ValueError("must have no path: the pages need a host name of their own")
        return value.rstrip("/")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and not set(text) & set(" <>\"'")
