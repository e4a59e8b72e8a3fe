import email
import email.header
import email.policy
import email.utils
import io
import re
from email.headerregistry import Address
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mailer.content.email_content import Content, Newsletter
from services.mailer.content.render import Renderer
from services.mailer.mime import message
from services.mailer.mime.addresses import parse_recipient, parse_sender
from services.mailer.mime.message import SenderIdentity
from tests.support.email_lint import lint
from tests.unit.mailer.samples import URL, confirm, newsletter, order_ready
from tests.unit.mailer.test_render import ALL

EMAIL = UUID("7f6f0a0e-53a1-4a6c-8a40-8d2c9c1cf0aa")
IDENTITY = SenderIdentity(sender=parse_sender("Размытие <blur@mail.example.org>"))
RENDER = Renderer()


def written(
    content: Content, *, to: str = "ann@example.org", locale: str = "en", archive: list[bytes] | None = None
) -> bytes:
    built = message.build(EMAIL, IDENTITY, parse_recipient(to), RENDER(content, locale))
    if isinstance(content, Newsletter):
        message.add_list_headers(built, content, IDENTITY)
    target = io.BytesIO()
    signature, size = message.write(built, archive, target)
    assert (signature, size) == (b"", len(target.getvalue()))
    return target.getvalue()


@pytest.mark.parametrize("locale", ["en", "ru"])
@pytest.mark.parametrize("content", ALL, ids=lambda content: content.template)
def test_every_email_passes_the_linter(content: Content, locale: str) -> None:
    parsed = lint(written(content, locale=locale, archive=[b"zip"]))
    rendered = RENDER(content, locale)
    assert parsed["From"] == "Размытие <blur@mail.example.org>"
    assert parsed["To"] == "ann@example.org"
    assert parsed["Subject"] == rendered.subject
    assert parsed["Message-ID"] == f"<{EMAIL}@mail.example.org>"
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == rendered.text
    assert html.get_content().replace("\r\n", "\n") == rendered.html


@settings(deadline=None)  # the first example loads templates
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_an_archive_arrives_whatever_its_chunks(chunks: list[bytes]) -> None:
    parsed = lint(written(order_ready(), archive=chunks))
    (attachment,) = parsed.iter_attachments()
    assert attachment.get_content_type() == "application/zip"
    assert attachment.get_filename() == "blur_images.zip"
    assert attachment.get_content() == b"".join(chunks)


def test_an_archive_is_encoded_in_full_lines() -> None:
    raw = written(order_ready(), archive=[b"x" * 1000, b"y" * 1000])
    body = raw.partition(b"filename=")[2].partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n--")[0]
    lines = body.split(b"\r\n")
    assert all(len(line) == 76 for line, _ in pairwise(lines))
    assert len(lines[-1]) <= 76


def test_an_email_without_archive_has_no_attachment() -> None:
    parsed = lint(written(confirm()))
    assert parsed.get_content_type() == "multipart/alternative"
    assert "List-Id" not in parsed


def test_a_newsletter_can_be_sorted_and_ended() -> None:
    raw = written(newsletter(URL))
    assert f"\r\nList-Unsubscribe: <{URL}>\r\n".encode() in raw
    assert lint(raw)["List-Id"] == "ImageBlur <newsletter.mail.example.org>"


@pytest.mark.parametrize("url", [None, "http://blur.example.org/unsubscribe?token=T"])
def test_without_https_there_is_no_unsubscribe_header(url: str | None) -> None:
    assert "List-Unsubscribe" not in lint(written(newsletter(url)))


def test_a_domain_beyond_ascii_is_written_so_that_all_servers_know_it() -> None:
    recipient = parse_recipient("ann@почта.рф")
    assert recipient.spec == "ann@xn--80a1acny.xn--p1ai"
    assert not recipient.utf8
    assert lint(written(confirm(), to="ann@почта.рф"))["To"] == "ann@xn--80a1acny.xn--p1ai"


def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    recipient = parse_recipient("анна@почта.рф")
    assert recipient.spec == "анна@xn--80a1acny.xn--p1ai"
    assert recipient.utf8
    assert "\r\nTo: анна@xn--80a1acny.xn--p1ai\r\n".encode() in written(confirm(), to="анна@почта.рф")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@b.c",
        "a@",
        "a@b@c",
        "a b@c.d",
        "a@b.c, d@e.f",
        "a@b.c\r\nBcc: d@e.f",
        "a@b.c\nBcc: d@e.f",
        "<a@b.c>",
        "Ann <a@b.c>",
        "анна\r\nBcc: x@y.z",
        "ан на@b.c",
        "анна,б@b.c",
        "анна>@b.c",
        "анна@b.c>",
        "a\x00@b.c",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_recipient(text)


@settings(deadline=None)  # the first example loads templates
@given(st.text(), st.text())
def test_no_recipient_can_add_a_header_or_a_command(local: str, domain: str) -> None:
    try:
        recipient = parse_recipient(f"{local}@{domain}")
    except ValueError:
        return
    assert not set(recipient.spec) & set("\r\n\x00")
    raw = written(confirm(), to=f"{local}@{domain}")
    head = raw.partition(b"\r\n\r\n")[0].decode()
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert names == ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


@pytest.mark.parametrize(
    "text", ["ImageBlur <imageblur@localhost>", "blur@example.org", '"Blur, Image" <a@b.c>', "Имя <a@b.c>"]
)
def test_senders(text: str) -> None:
    assert parse_sender(text).domain


@pytest.mark.parametrize(
    "text", ["", "ImageBlur", "ImageBlur <imageblur>", "a@b.c, d@e.f", "a@b.c\nX: y", "A <a@b.c", "<>", "имя@b.c"]
)
def test_what_is_not_a_sender(text: str) -> None:
    with pytest.raises(ValueError, match="must be one address"):
        parse_sender(text)


_LONG = "the Department for Blurring and Redaction of Photographs and Other Pictures of all Kinds and Sizes, Ltd."


@pytest.mark.parametrize(
    "name",
    [
        "ImageBlur",
        "Blur, Image",
        f"Blur, {_LONG}",
        f'The "Blur"; (of) pictures: <all> \\ kinds, {_LONG}',
        "Отдел размытия, закрашивания и прочей обработки изображений любого вида и размера, ООО",
        "x" * 700 + ", Ltd.",
        "two  spaces, and " + "more words " * 10,
    ],
)
@pytest.mark.parametrize("to", ["ann@example.org", "анна@example.org"])
def test_a_sender_stays_one_address_however_long_its_name(name: str, to: str) -> None:
    sender = Address(display_name=name, username="blur", domain="example.org")
    built = message.build(
        EMAIL, SenderIdentity(sender=sender, reply_to=sender), parse_recipient(to), RENDER(confirm(), "en")
    )
    raw = built.as_bytes()
    for field in ("From", "Reply-To"):
        # As mail programs read it: unfold, take the quoted name or decode the encoded words, which are joined.
        (value,) = re.findall(rf"^{field}: (.*(?:\r\n[ \t].*)*)\r\n", raw.decode(), flags=re.MULTILINE)
        assert all(len(line) <= 78 for line in f"{field}: {value}".split("\r\n"))
        ((read, address),) = email.utils.getaddresses([value.replace("\r\n", "")])
        assert address == "blur@example.org"
        assert str(email.header.make_header(email.header.decode_header(read))) == name
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert [it.addr_spec for it in parsed["From"].addresses] == ["blur@example.org"]
