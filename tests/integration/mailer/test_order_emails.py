import io
import json
import re
import zipfile
from email.message import EmailMessage
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import update

from services.common.archive.result_names import result_names
from services.common.db.engine import Database
from services.common.db.models import Email
from services.common.db.queues import outbox
from services.common.domain.errors import Reason
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.spec import Format
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import CHANGED, ENDED, Broker
from services.common.infra.messaging.messages import MAIL_QUEUE
from services.common.infra.signing.tokens import Tokens
from services.mailer.sending.send_email import SendEmail
from tests.integration.mailer.conftest import ON_BOTH, MakeMailer
from tests.support.email_lint import lint
from tests.support.findings import FIND_FACES, finding, inspection
from tests.support.mail_factories import (
    CORRUPT,
    Result,
    delivery,
    email,
    emails_of,
    enqueue_again,
    image_rows,
    make_order,
)
from tests.support.smtp import SmtpSink


def archive_of(message: EmailMessage) -> dict[str, bytes]:
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "blur_images.zip"
    with zipfile.ZipFile(io.BytesIO(attachment.get_content())) as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("blur_")}


def summary_of(message: EmailMessage) -> tuple[dict[str, Any], str]:
    (attachment,) = message.iter_attachments()
    with zipfile.ZipFile(io.BytesIO(attachment.get_content())) as archive:
        return json.loads(archive.read("summary.json")), archive.read("summary.txt").decode()


def text_of(message: EmailMessage) -> str:
    """Subject, text and HTML together."""
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    return "\n".join([str(message["Subject"]), *(str(body.get_content()) for body in bodies if body)])


@ON_BOTH
def test_results_arrive_in_an_archive(
    database: Database, blobs: BlobStore, queues: Broker, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [b"one", b"two"], filenames=["a/cat.png", "cat.png"])
    with queues.client.pubsub() as changes:
        changes.subscribe(CHANGED, ENDED)
        send(made.email_id)
        events = [changes.get_message(timeout=30) for _ in range(4)]
    # The subscriptions themselves, then that it is being sent, then that it was.
    announced = [(event["channel"].decode(), event["data"]) for event in events[2:] if event]
    assert announced == [(CHANGED, made.order_id.bytes), (ENDED, made.order_id.bytes)]
    (received,) = smtp_sink.received
    assert received.recipients == ("ann@example.org",)
    assert received.sender == "blur@example.org"
    assert received.message["Message-ID"] == f"<{made.email_id}@example.org>"
    assert archive_of(received.message) == {"blur_cat.png": b"one", "blur_cat_2.png": b"two"}
    assert email(database, made.email_id).state == "SENT"
    assert email(database, made.email_id).smtp_reply == "250 2.0.0 kept"
    assert delivery(database, made.order_id).state == "SENT"


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_a_failure_is_named_by_position_and_never_by_file_name(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink, locale: str
) -> None:
    made = make_order(database, blobs, [b"one", CORRUPT, b"three"], locale=locale)
    send(made.email_id)
    (received,) = smtp_sink.received
    text = text_of(received.message)
    assert ("image 2: The PNG file is damaged" if locale == "en" else "изображение 2: Файл повреждён") in text
    assert "secret" not in text
    assert set(archive_of(received.message)) == {"blur_secret 1.png", "blur_secret 3.png"}


def test_an_order_without_results_gets_an_email(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [CORRUPT, CORRUPT])
    send(made.email_id)
    (received,) = smtp_sink.received
    assert str(received.message["Subject"]).startswith("2 images could not be blurred · ")
    assert not list(received.message.iter_attachments())
    assert delivery(database, made.order_id).state == "SENT"


def test_a_refused_recipient_ends_the_delivery_with_the_servers_words(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [b"one"], email="gone@example.org")
    other = make_order(database, blobs, [b"one"])
    smtp_sink.refuse({"gone@example.org": "550 5.1.1 <gone@example.org> no such user"})
    send(made.email_id)
    send(other.email_id)
    ended = delivery(database, made.order_id)
    assert (ended.state, ended.reason) == ("FAILED", Reason.MAIL_REFUSED)
    assert ended.message == "550 5.1.1 <(address)> no such user"
    assert email(database, made.email_id).state == "FAILED"
    assert delivery(database, other.order_id).state == "SENT"


def test_a_cut_line_repeats_the_email_under_the_same_message_id(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [b"one"])
    smtp_sink.reply_to_data(None)
    send(made.email_id)
    enqueue_again(database)
    send(made.email_id)
    first, second = smtp_sink.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert email(database, made.email_id).state == "SENT"


FIVE: list[Result] = [bytes([number]) * 60_000 for number in range(5)]


@ON_BOTH
def test_what_is_too_large_for_an_email_comes_in_parts(
    database: Database, blobs: BlobStore, queues: Broker, make_mailer: MakeMailer, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [*FIVE[:2], CORRUPT, *FIVE[2:]], filenames=["x.png"] * 6)
    send = make_mailer(limit_mb=0.18)
    send(made.email_id)
    first, *others = emails_of(database, delivery_id=delivery(database, made.order_id).id)
    assert (first.state, first.id) == ("SENT", made.email_id)
    assert [(other.part, other.state) for other in others] == [(2, "QUEUED"), (3, "QUEUED")]
    assert len(queues.subjects(MAIL_QUEUE)) == 2
    assert delivery(database, made.order_id).state == "SENDING"
    for other in reversed(others):
        send(other.id)
        send(other.id)
    assert delivery(database, made.order_id).state == "SENT"
    one, three, two = (received.message for received in smtp_sink.received)
    assert [re.findall(r"part \d of 3", str(part["Subject"])) for part in (one, two, three)] == [
        [f"part {n} of 3"] for n in (1, 2, 3)
    ]
    assert "images 1 to 2" in text_of(one)
    assert "images 4 to 5" in text_of(two)
    assert "contains image 6." in text_of(three)
    assert len({part["Message-ID"] for part in (one, two, three)}) == 3
    done = [image for image in image_rows(database, made.order_id) if image.state == "SUCCEEDED"]
    names = result_names((image.filename, Format.PNG) for image in done)
    together = archive_of(one) | archive_of(two) | archive_of(three)
    assert together == dict(zip(names, FIVE, strict=True))
    assert max(len(received.content) for received in smtp_sink.received) < 200_000


def test_a_part_that_is_refused_fails_the_delivery_and_leaves_the_others(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, FIVE)
    send = make_mailer(limit_mb=0.18)
    smtp_sink.reply_to_data("554 5.7.1 spam")
    send(made.email_id)
    for row in emails_of(database, delivery_id=delivery(database, made.order_id).id):
        send(row.id)
    assert len(smtp_sink.received) == 2
    ended = delivery(database, made.order_id)
    assert (ended.state, ended.message) == ("FAILED", "554 5.7.1 spam")


@pytest.mark.parametrize("limit_mb", [0.05, 0.09], ids=["one image is over the limit", "more than five e-mails"])
def test_what_is_too_large_for_emails_is_to_be_downloaded(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, smtp_sink: SmtpSink, limit_mb: float
) -> None:
    made = make_order(database, blobs, [*FIVE, FIVE[0]])
    make_mailer(limit_mb=limit_mb)(made.email_id)
    (received,) = smtp_sink.received
    assert not list(received.message.iter_attachments())
    assert f"imageblur download {made.order_id} -o DIR" in text_of(received.message)
    assert delivery(database, made.order_id).state == "SENT"


def test_an_attachment_at_the_limit_arrives_in_one_email(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    results: list[Result] = [bytes([number]) * 3_250_000 for number in range(4)]
    made = make_order(database, blobs, results)
    send(made.email_id)
    (received,) = smtp_sink.received
    assert 17_500_000 < len(received.content) < 18_100_000
    assert list(archive_of(received.message).values()) == results


def test_a_part_that_is_needed_no_more_is_cancelled(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, FIVE)
    smtp_sink.reply_to_data("451 4.3.0 try later")
    make_mailer(limit_mb=0.18)(made.email_id)
    enqueue_again(database)
    send = make_mailer()  # started again with a higher limit
    for row in emails_of(database, delivery_id=delivery(database, made.order_id).id):
        send(row.id)
    (received,) = smtp_sink.received
    assert len(archive_of(received.message)) == 5
    rows = emails_of(database, delivery_id=delivery(database, made.order_id).id)
    assert [row.state for row in rows] == ["SENT", "CANCELLED", "CANCELLED"]
    assert delivery(database, made.order_id).state == "SENT"


@ON_BOTH
def test_the_archive_has_a_summary(database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink) -> None:
    names = ["../../x.png", "a\x1b[31m.png", "b.png"]
    made = make_order(database, blobs, [b"one", CORRUPT, b"two"], filenames=names)
    send(made.email_id)
    as_json, as_text = summary_of(smtp_sink.received[0].message)
    assert as_json["order_id"] == str(made.order_id)
    one, two, failed = as_json["images"]
    assert [image["position"] for image in (one, two, failed)] == [1, 3, 2]
    assert one["file"] == "blur_x.png"
    assert one["original_name"] == "../../x.png"
    assert one["effect"] == {"kind": "gaussian", "sigma": 5.0, "relative": False}
    assert (one["regions"], one["irreversible"]) == ([], False)
    assert one["input"] == {"bytes": 1, "sha256": "ab" * 32}
    assert one["output"]["sha256"] == sha256(b"one").hexdigest()
    assert one["engine"] == "imageblur 1.2.3"
    assert (failed["state"], failed["reason"], failed["file"]) == ("FAILED", "CORRUPT", None)
    assert "1. blur_x.png\n   from     ../../x.png, 1 bytes\n" in as_text
    assert "Gaussian blur, sigma 5 px" in as_text
    assert "failed   CORRUPT: The PNG file is damaged" in as_text
    assert "\x1b" not in as_text


def test_the_email_and_the_summary_say_what_was_found_and_what_remains(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    found = [inspection(finding(), finding(applied=False)), None, Inspection(), inspection(state=CheckState.REMAINING)]
    made = make_order(database, blobs, [b"one", CORRUPT, b"two", b"three"], inspections=found, spec=FIND_FACES)
    send(made.email_id)
    message = smtp_sink.received[0].message
    as_json, as_text = summary_of(message)
    checks = [image["check"]["state"] for image in as_json["images"][:3]]
    assert checks == ["CLEAN", "NOT_CHECKED", "REMAINING"]
    assert "2 x FACE; 1 of them hidden" in as_text
    assert "2 findings were hidden in 3 images that were searched. In 1 of them nothing was found." in text_of(message)
    assert "is still found in image 4. Look at it before you pass it on." in text_of(message)


def test_small_results_are_shown_in_the_email(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    target = io.BytesIO()
    Image.new("RGBA", (600, 300), (200, 30, 30, 128)).save(target, "PNG")
    made = make_order(database, blobs, [target.getvalue(), b"no picture", *[target.getvalue()] * 8])
    send(made.email_id)
    message = lint(smtp_sink.received[0].content)
    pictures = [part for part in message.walk() if part.get_content_maintype() == "image"]
    assert len(pictures) == 5, "of the first six, one cannot be shown"
    with Image.open(io.BytesIO(pictures[0].get_content())) as picture:
        assert (picture.format, picture.size) == ("JPEG", (312, 156))
    html = message.get_body(("html",))
    assert html
    assert 'width="156" height="78"' in html.get_content()
    assert len(archive_of(smtp_sink.received[0].message)) == 10


def test_what_is_too_large_is_linked_to_where_there_are_pages(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, tokens: Tokens, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, FIVE)
    make_mailer(limit_mb=0.18, public_url="https://blur.example.org")(made.email_id)
    (received,) = smtp_sink.received
    message = lint(received.content)
    assert not list(message.iter_attachments())
    link = text_of(message).partition("https://blur.example.org/archive?token=")[2].split()[0]
    assert tokens.read_archive(link) == made.order_id
    assert f"https://blur.example.org/orders/{made.order_id}" in text_of(message)
    assert delivery(database, made.order_id).state == "SENT"


@ON_BOTH
def test_a_delivery_shows_the_last_reply(
    database: Database, blobs: BlobStore, send: SendEmail, smtp_sink: SmtpSink
) -> None:
    made = make_order(database, blobs, [b"one"])
    smtp_sink.reply_to_data("451 4.3.0 try later")
    send(made.email_id)
    assert (delivery(database, made.order_id).state, delivery(database, made.order_id).message) == (
        "SENDING",
        "451 4.3.0 try later",
    )
    enqueue_again(database)
    send(made.email_id)
    assert (delivery(database, made.order_id).state, delivery(database, made.order_id).message) == (
        "SENT",
        "250 2.0.0 kept",
    )


@ON_BOTH
def test_an_address_gets_so_many_emails_an_hour_and_the_others_later(
    database: Database, blobs: BlobStore, make_mailer: MakeMailer, smtp_sink: SmtpSink
) -> None:
    send = make_mailer(emails_per_hour=2)
    made = [make_order(database, blobs, [b"one"], email="victim@example.org") for _ in range(4)]
    other = make_order(database, blobs, [b"one"], email="other@example.org")
    for order in [*made, other]:
        send(order.email_id)
    assert len(smtp_sink.to("victim@example.org")) == 2
    assert len(smtp_sink.to("other@example.org")) == 1
    waiting = [email(database, order.email_id) for order in made[2:]]
    assert [(row.state, row.attempts) for row in waiting] == [("QUEUED", 0)] * 2
    assert "as many e-mails" in (delivery(database, made[2].order_id).message or "")
    with database.write() as session:
        assert not outbox.enqueue_due_emails(session, limit=9), "an hour has not passed"
        session.execute(update(Email).where(Email.state == "SENT").values(sent_at=1))
    enqueue_again(database)
    for order in made:
        send(order.email_id)
    assert len(smtp_sink.to("victim@example.org")) == 4
