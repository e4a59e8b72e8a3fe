"""What a mail server's replies mean to an operator, and what settings will keep e-mails from arriving."""

import re
from collections.abc import Iterator, Mapping

from services.common.infra.settings import is_loopback
from services.mailer.mime.addresses import parse_sender
from services.mailer.settings import MailerSettings

_ENHANCED = re.compile(r"\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b")
_BY_ENHANCED_CODE: Mapping[str, str] = {
    "4.7.1": "put off: greylisting or a limit for strangers; an e-mail is tried again by itself",
    "5.1.1": "there is no such mailbox",
    "5.1.2": "there is no such domain",
    "5.1.8": "the sender's address is not accepted: is IMAGEBLUR_MAIL_FROM an address of your own domain?",
    "5.2.2": "the mailbox is full",
    "5.3.4": "the e-mail is larger than the server takes: lower IMAGEBLUR_ATTACHMENT_LIMIT_MB",
    "5.7.0": "not allowed: the server wants a login or encryption first",
    "5.7.1": "not allowed: this server does not relay for this sender, recipient or machine; does it want a login?",
    "5.7.8": "user or password is wrong",
    "5.7.9": "the server wants another way to log in, often a password made for programs",
    "5.7.20": "no valid DKIM signature: see docs/deliverability.md",
    "5.7.23": "SPF fails: the domain does not name this server as one of its senders; see docs/deliverability.md",
    "5.7.25": "the sending machine's address has no name in DNS (PTR): its owner has to set one",
    "5.7.26": "neither SPF nor DKIM passes for the sender's domain: see docs/deliverability.md",
    "5.7.27": "the sender's domain takes no mail (null MX)",
}
_BY_CODE: Mapping[int, str] = {
    220: "the server greets, or is ready to encrypt",
    221: "it closes the connection",
    235: "the login is accepted",
    250: "accepted",
    251: "accepted, and passed on elsewhere",
    252: "accepted without having been looked at",
    334: "it asks for the next part of the login",
    354: "it waits for the e-mail",
    421: "it is busy or stopping: an e-mail is tried again by itself",
    450: "not now: the mailbox is busy, or strangers are to come again (greylisting); tried again by itself",
    451: "not now: a fault of its own, or a limit; tried again by itself",
    452: "not now: it has no room; tried again by itself",
    454: "encryption or login does not work at the moment",
    500: "it does not know the command",
    501: "it does not understand an address or an option",
    502: "it does not do that",
    503: "it wanted something else first, often a login",
    530: "it wants encryption (IMAGEBLUR_SMTP_SECURITY=starttls) or a login (IMAGEBLUR_SMTP_USER) first",
    534: "it wants another way to log in, often a password made for programs",
    535: "user or password is wrong",
    538: "it wants encryption before the login: IMAGEBLUR_SMTP_SECURITY=starttls",
    550: "refused: no such mailbox, or not allowed; the words say which",
    551: "refused: the mailbox is elsewhere",
    552: "refused: the e-mail is too large or the mailbox full",
    553: "refused: the address is not accepted",
    554: "refused: by policy, or as spam",
    555: "it does not know an option of MAIL or RCPT",
}


def explain(reply: str) -> str:
    """What a line of the server's means, such as `550 5.1.1 unknown`."""
    match = _ENHANCED.match(reply)
    if match and match[1] in _BY_ENHANCED_CODE:
        return _BY_ENHANCED_CODE[match[1]]
    code = int(reply[:3]) if reply[:3].isdecimal() else 0
    return _BY_CODE.get(code) or {2: "accepted", 3: "go on", 4: "not now", 5: "refused"}.get(code // 100, "")


def concerns(settings: MailerSettings) -> Iterator[str]:
    """What in the settings will keep e-mails from arriving, or makes them less than they could be."""
    domain = parse_sender(settings.mail_from).domain
    local = is_loopback(settings.smtp_host)
    if domain == "localhost" or "." not in domain:
        yield f"IMAGEBLUR_MAIL_FROM: e-mails come from {domain!r}, a domain that other servers refuse"
    if settings.smtp_security == "none" and not local:
        yield f"IMAGEBLUR_SMTP_SECURITY: e-mails travel to {settings.smtp_host} unencrypted"
    if settings.dkim_key_file is None:
        yield "IMAGEBLUR_DKIM_KEY_FILE: e-mails are not signed; unless the relay does, large providers refuse bulk"
    if settings.public_url is None:
        yield "IMAGEBLUR_PUBLIC_URL: not set, so e-mails have no links, and the weekly one no button to unsubscribe"
    elif not settings.public_url.startswith("https://"):
        yield "IMAGEBLUR_PUBLIC_URL: without https there is no unsubscribing with one click (RFC 8058)"
