"""Holds an e-mail against what mail servers and mail programs want of it."""

import email
import email.policy
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from urllib.parse import urlsplit

ONCE = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted")
AT_MOST_ONCE = ("Reply-To", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "DKIM-Signature")
_VOID = {"meta", "br", "img"}
_OF_THE_FRAME = {"imageblur"}
"""Words that HTML has besides, in its frame."""


def lint(raw: bytes) -> EmailMessage:
    """The e-mail; fails with the first thing that is wrong with it."""
    _lint_lines(raw)
    # The strict policy raises where the default one only notes a defect.
    message = email.message_from_bytes(raw, policy=email.policy.strict)
    assert isinstance(message, EmailMessage)
    _lint_headers(message)
    _lint_bulk(message)
    for part in message.walk():
        for header in part.values():
            assert not header.defects
        if not part.is_multipart():
            assert part.get("Content-Transfer-Encoding", "7bit") in {"7bit", "quoted-printable", "base64"}
        if part.get_content_maintype() == "text":
            assert part.get_content_charset() in {"utf-8", "us-ascii"}
            part.get_content()  # decodes
    _lint_bodies(message)
    return message


def _lint_lines(raw: bytes) -> None:
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r"), "lines end in CRLF"
    head, _, body = raw.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        # The one header that must not be folded: no mail program puts a link together again.
        longest = 998 if line.lower().startswith(b"list-unsubscribe:") else 200
        assert len(line) <= longest, f"a header of {len(line)} bytes"
    assert b"\x00" not in raw
    assert body.isascii()
    assert max(map(len, body.split(b"\r\n"))) <= 78, "a line of the body is long"


def _lint_headers(message: EmailMessage) -> None:
    names = [name.lower() for name in message.keys()]  # noqa: SIM118 - a message is no dictionary
    for name in ONCE:
        assert names.count(name.lower()) == 1, name
    for name in AT_MOST_ONCE:
        assert names.count(name.lower()) <= 1, name
    assert len(message["To"].addresses) == len(message["From"].addresses) == 1
    assert message["Date"].datetime.tzinfo is not None
    assert re.fullmatch(r"<[0-9a-f-]{36}@[A-Za-z0-9.-]+>", message["Message-ID"])
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"]
    assert message["Subject"].isprintable()
    assert len(message["Subject"]) <= 78


def _lint_bulk(message: EmailMessage) -> None:
    if "List-Unsubscribe" in message:
        assert "List-Id" in message
        assert re.fullmatch(r"<https://[^<>\s]+>", message["List-Unsubscribe"])
    if "List-Unsubscribe-Post" in message:
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "List-Unsubscribe" in message
        assert "DKIM-Signature" in message


def _lint_bodies(message: EmailMessage) -> None:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    text = plain.get_content()
    page = Page(html.get_content())
    missing = set(_words(page.text)) - set(_words(text)) - _OF_THE_FRAME
    assert not missing, f"only the HTML says {missing}"
    said = " ".join(_words(page.text)) + " " + " ".join(page.links)
    links = re.findall(r"https?://\S+", text)
    assert set(links) == set(page.links), "text and HTML link to different places"
    assert all(word in said.lower() for word in _words(re.sub(r"https?://\S+", "", text)) if word.isdecimal())
    cids = {str(part["Content-ID"]).strip("<>") for part in message.walk() if "Content-ID" in part}
    assert {source.removeprefix("cid:") for source in page.images} == cids, (
        "pictures that are shown, and that are there"
    )
    assert all(source.startswith("cid:") for source in page.images), "a picture from elsewhere"
    for link in page.links:
        assert urlsplit(link).scheme in {"http", "https"}
    assert "url(" not in html.get_content()
    assert "<script" not in html.get_content()


def _words(text: str) -> list[str]:
    return re.findall(r"[\w@.=/-]*\w", text.lower())


class Page(HTMLParser):
    """What a page shows; fails on tags that are not closed in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self._shown: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join("".join(self._shown).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag == "img":
            self.images.append(values["src"] or "")
            assert values["alt"], "a picture without words for who cannot see it"
        if tag not in _VOID:
            self._open.append(tag)
        else:
            self._shown.append(" ")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag not in {"a", "code", "strong", "span"}:
            self._shown.append(" ")

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self._open):
            self._shown.append(data)
