"""Explains a mail server's replies to an operator."""

import re
from collections.abc import Mapping

_ENHANCED = re.compile(r"\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b")
# RFC 3463 and the registry that RFC 5248 made.
_BY_ENHANCED_CODE: Mapping[str, str] = {
    "4.7.1": "greylisting or a limit for unknown senders; the e-mail is retried automatically",
    "5.1.1": "there is no such mailbox",
    "5.1.2": "there is no such domain",
    "5.1.8": "the sender's address is not accepted: is IMAGEBLUR_MAIL_FROM an address of your own domain?",
    "5.2.2": "the mailbox is full",
    "5.3.4": "the e-mail is larger than the server accepts: lower IMAGEBLUR_ATTACHMENT_LIMIT_MB",
    "5.7.0": "not allowed: the server requires a login or encryption first",
    "5.7.1": "not allowed: this server does not relay for this sender, recipient or machine; does it require a login?",
    "5.7.8": "user or password is wrong",
    "5.7.9": "the server requires another login method, often an app password",
    "5.7.20": "no valid DKIM signature: see docs/deliverability.md",
    "5.7.23": "SPF fails: the domain does not list this server as a sender; see docs/deliverability.md",
    "5.7.25": "the IP address of the sending machine has no name in DNS (PTR): its owner has to set one",
    "5.7.26": "neither SPF nor DKIM passes for the sender's domain: see docs/deliverability.md",
    "5.7.27": "the sender's domain accepts no mail (null MX)",
}
_BY_CODE: Mapping[int, str] = {
    220: "ready",
    221: "the server closes the connection",
    235: "the login is accepted",
    250: "accepted",
    251: "accepted, and forwarded",
    252: "accepted without verification",
    334: "continue the login",
    354: "send the e-mail",
    421: "busy or stopping: the e-mail is retried automatically",
    450: "not now: mailbox busy, or greylisting; retried automatically",
    451: "not now: an error in the server, or a limit; retried automatically",
    452: "not now: the server has no space; retried automatically",
    454: "encryption or login does not work at the moment",
    500: "unknown command",
    501: "invalid address or option",
    502: "not supported",
    503: "another command was required first, often a login",
    530: "encryption (IMAGEBLUR_SMTP_SECURITY=starttls) or a login (IMAGEBLUR_SMTP_USER) is required first",
    534: "the server requires another login method, often an app password",
    535: "user or password is wrong",
    538: "encryption is required before the login: IMAGEBLUR_SMTP_SECURITY=starttls",
    550: "refused: no such mailbox, or not allowed; see the text of the reply",
    551: "refused: the mailbox is on another server",
    552: "refused: the e-mail is too large or the mailbox full",
    553: "refused: the address is not accepted",
    554: "refused: by policy, or as spam",
    555: "unknown option of MAIL or RCPT",
}
_BY_FIRST_DIGIT: Mapping[int, str] = {2: "accepted", 3: "continue", 4: "not now", 5: "refused"}


def explain_reply(reply: str) -> str:
    """Return the meaning of a line of a server's reply, such as `550 5.1.1 unknown`; empty if it is unknown."""
    match = _ENHANCED.match(reply)
    if match and match[1] in _BY_ENHANCED_CODE:
        return _BY_ENHANCED_CODE[match[1]]
    code = int(reply[:3]) if reply[:3].isdecimal() else 0
    return _BY_CODE.get(code) or _BY_FIRST_DIGIT.get(code // 100, "")
