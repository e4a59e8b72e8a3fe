"""Order pages, events, downloads in ranges, newsletter and mailbox over HTTP."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import socket
import time
import zipfile
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote_from_bytes
from uuid import UUID, uuid4

import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Image, Order
from services.common.domain.orders import result_key
from services.common.infra.blobs import BlobStore
from services.common.infra.signing.tokens import Tokens
from services.gateway.settings import GatewaySettings
from services.web.gateway.client import GatewayClient
from services.web.settings import WebSettings
from tests.integration.gateway.conftest import SECRET, Gateway, running
from tests.integration.gateway.test_orders import order
from tests.integration.web.conftest import Web, serving
from tests.support.ids import UNKNOWN_ID
from tests.support.waiting import eventually

RESULT = bytes(range(256)) * 9000


@pytest.fixture
def done(gateway: Gateway, database: Database) -> str:
    """The id of an order whose two images are blurred."""
    order_id = order(gateway).order_id
    blobs = BlobStore(str(gateway.folder))
    values = {"state": "SUCCEEDED", "output_bytes": len(RESULT), "format": "JPEG", "width": 3, "height": 4}
    with database.write() as session:
        session.execute(update(Image).values(output_sha256=hashlib.sha256(RESULT).hexdigest(), **values))
        session.execute(update(Order).values(state="SUCCEEDED", succeeded=2))
    for position in (1, 2):
        blobs.put(result_key(order_id, position), RESULT)
    return order_id


def test_the_page_of_an_order_is_a_secret(web: Web, done: str) -> None:
    page = web.get(f"/orders/{done}")
    assert page.status == 200
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "ann@example.org" not in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/orders/{UNKNOWN_ID}", 404),
        ("/orders/42", 404),
        (f"/orders/{UNKNOWN_ID}/events", 404),
        (f"/orders/{UNKNOWN_ID}/archive", 404),
        (f"/orders/{UNKNOWN_ID}/images/{UNKNOWN_ID}", 404),
        (f"/orders/{UNKNOWN_ID}/images/x", 404),
        ("/orders?order_id=x", 404),
        ("/archive?token=x", 400),
        ("/archive", 400),
        ("/confirm", 400),
        ("/receive", 400),
        ("/mailbox/../../x", 404),
        ("/mailbox/0001-x", 404),
        ("/nothing", 404),
        ("/static/x/page.py", 404),
    ],
)
def test_missing_pages(web: Web, path: str, status: int) -> None:
    answer = web.get(path, Accept="text/html")
    assert answer.status == status
    assert "<html" in answer.text or path.startswith("/static")


def test_a_link_to_receive_results_asks_before_anything_happens(web: Web) -> None:
    page = web.get("/receive?token=x", Accept="text/html")
    assert page.status == 200
    assert "Send me the results" in page.text
    assert web.request("POST", "/receive?token=x", b"", FORM).status == 400, "it is no token"


@pytest.mark.parametrize("path", ["/newsletter/", "/mailbox/", "/operator/", "/operator/orders/", "/newsletter//"])
def test_a_slash_at_the_end_changes_nothing(web: Web, path: str) -> None:
    page = web.get(path, Accept="text/html", Host="localhost")
    assert (page.status, page.text) == (200, web.get(path.rstrip("/"), Accept="text/html", Host="localhost").text)
    # One-click unsubscription of a mail provider.
    answer = web.request(
        "POST", "/unsubscribe/?token=x", b"List-Unsubscribe=One-Click", {"Origin": "https://mail.example"}
    )
    assert answer.status == 400


@pytest.mark.parametrize("page", ["orders", "failures", "keys", "audit"])
@pytest.mark.parametrize("token", ["x", "[1e999]", f'[1e999, "{UNKNOWN_ID}"]', "[true, []]", "[[[", "\0", "\udcff"])
def test_a_page_that_no_list_has_is_a_bad_request(web: Web, page: str, token: str) -> None:
    raw = token.encode("utf-8", "surrogateescape")
    for sent in (quote_from_bytes(raw), base64.urlsafe_b64encode(raw).decode().rstrip("=")):
        assert web.get(f"/operator/{page}?page={sent}", Accept="text/html").status == 400


def test_an_order_is_found_by_its_id(web: Web, done: str) -> None:
    answer = web.get(f"/orders?order_id=%20{done.upper()}%20")
    assert (answer.status, answer.headers["location"]) == (303, f"/orders/{done}")


def test_downloads_whole_and_in_ranges(web: Web, gateway: Gateway, done: str) -> None:
    image_id = gateway.blur.ListImages(pb.ListImagesRequest(order_id=done)).images[0].image_id
    address = f"/orders/{done}/images/{image_id}"
    whole = web.get(address)
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, RESULT, "image/jpeg")
    assert whole.headers["content-disposition"].startswith("inline; ")
    assert web.get(address + "?download").headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in whole.headers["content-security-policy"]
    etag = whole.headers["etag"]
    for asked, first, last in (
        ("0-9", 0, 9),
        ("2000000-", 2_000_000, len(RESULT) - 1),
        ("-5", len(RESULT) - 5, len(RESULT) - 1),
    ):
        part = web.get(address, Range=f"bytes={asked}", If_Range=etag)
        assert (part.status, part.body) == (206, RESULT[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(RESULT)}"
        assert int(part.headers["content-length"]) == len(part.body)
    assert web.get(address, Range="bytes=0-9", If_Range='"another"').body == RESULT
    beyond = web.get(address, Range=f"bytes={len(RESULT)}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(RESULT)}")
    assert web.get(address, If_None_Match=etag).status == 304
    head = web.request("HEAD", address)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(RESULT)), b"")


def test_an_archive_link_works_until_the_order_expires(web: Web, database: Database, done: str) -> None:
    address = f"/archive?token={Tokens(SECRET).archive(UUID(done))}"
    whole = web.get(address)
    with zipfile.ZipFile(io.BytesIO(whole.body)) as archive:
        assert archive.testzip() is None
    assert whole.headers["content-disposition"].startswith('attachment; filename="blur_images.zip"')
    rest = web.get(address, Range="bytes=3000000-", If_Range=whole.headers["etag"])
    assert (rest.status, rest.body) == (206, whole.body[3_000_000:])
    with database.write() as session:
        session.execute(update(Order).values(state="EXPIRED", email=None))
    expired = web.get(address, Accept="text/html")
    assert expired.status == 410
    assert "expired" in expired.text


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields["id"], json.loads(fields["data"])))
    return found


def test_events_report_changes_until_the_order_is_settled(web: Web, gateway: Gateway) -> None:
    order_id = order(gateway).order_id
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        request = (
            f"GET /orders/{order_id}/events?first=2&last=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        received = b""
        while b"event: change" not in received:
            received += connection.recv(65536)
        gateway.blur.CancelOrder(pb.CancelOrderRequest(order_id=order_id))
        while piece := connection.recv(65536):
            received += piece
    assert b"content-type: text/event-stream" in received
    body = received.partition(b"\r\n\r\n")[2]
    # Chunked: lines of sizes between pieces.
    text = "\n".join(line for line in body.decode().replace("\r\n", "\n").split("\n") if not _is_size(line))
    (_, first), *_, (revision, last) = events(text)
    assert (first["state"], last["state"], last["settled"]) == ("queued", "cancelled", True)
    assert list(first["images"]) == ["2"], "only the images that the page shows"  # type: ignore[call-overload]
    assert "Cancelled" in str(last["summary"])
    again = web.get(f"/orders/{order_id}/events?first=1&last=9", Last_Event_ID=revision)
    ((_, nothing_new),) = events(again.text)
    assert nothing_new["images"] == {}


def test_an_order_that_ends_while_its_page_is_made_is_shown_with_its_images_as_they_ended(
    web: Web, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event would correct them."""
    order_id = order(gateway).order_id
    status, images, images_read = GatewayClient.status, GatewayClient.images, asyncio.Event()

    async def status_after_the_end(client: GatewayClient, order_id: str) -> order_pb2.Order:
        with contextlib.suppress(TimeoutError):  # read first, as they may not be
            await asyncio.wait_for(images_read.wait(), 0.3)
        await client.cancel(order_id)
        return await status(client, order_id)

    async def read_images(client: GatewayClient, order_id: str, page_token: str) -> pb.ListImagesResponse:
        response = await images(client, order_id, page_token)
        images_read.set()
        return response

    monkeypatch.setattr(GatewayClient, "status", status_after_the_end)
    monkeypatch.setattr(GatewayClient, "images", read_images)
    page = web.get(f"/orders/{order_id}").text
    assert 'data-live="no"' in page
    assert "Queued" not in page


def _is_size(line: str) -> bool:
    return bool(line) and len(line) < 6 and all(c in "0123456789abcdef" for c in line)


def test_the_server_stops_within_seconds_despite_open_streams(gateway: Gateway) -> None:
    order_id = order(gateway).order_id
    settings = WebSettings(web_address="127.0.0.1:0", gateway_url=f"http://127.0.0.1:{gateway.port}")
    with serving(settings) as web:
        connection = socket.create_connection(("127.0.0.1", web.port), timeout=20)
        connection.sendall(f"GET /orders/{order_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"event: change" not in received:
            received += connection.recv(65536)
        begin = time.monotonic()
    assert time.monotonic() - begin < 20
    connection.close()


def test_without_the_gateway_pages_are_unavailable(gateway: Gateway) -> None:
    with serving(WebSettings(web_address="127.0.0.1:0", gateway_url="http://127.0.0.1:1")) as web:
        for path in ("/", f"/orders/{uuid4()}", "/archive?token=x"):
            answer = web.get(path, Accept="text/html")
            assert answer.status == 503
            assert "Service temporarily unavailable" in answer.text
            assert answer.headers["retry-after"]
        assert web.get("/health").status == 503
        assert web.get("/newsletter").status == 200
    assert gateway.port


def test_actions_on_an_order(web: Web, gateway: Gateway) -> None:
    order_id = order(gateway).order_id
    for action in ("send", "send", "cancel", "cancel"):
        answer = web.request("POST", f"/orders/{order_id}/{action}", b"")
        assert (answer.status, answer.headers["location"]) == (303, f"/orders/{order_id}")
    assert "Cancelled" in web.get(f"/orders/{order_id}").text
    late = web.request("POST", f"/orders/{order_id}/send", b"", {"Accept": "text/html"})
    assert late.status == 409
    assert "Order deleted" in web.request("POST", f"/orders/{order_id}/delete", b"").text
    assert web.get(f"/orders/{order_id}").status == 404


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_opening_an_email_link_changes_nothing_and_its_button_does(web: Web, gateway: Gateway) -> None:
    token = Tokens(SECRET).make("unsubscribe", uuid4(), 1)
    page = web.get(f"/unsubscribe?token={token}")
    assert "<form" in page.text
    one_click = web.request("POST", f"/unsubscribe?token={token}", b"List-Unsubscribe=One-Click", FORM)
    assert one_click.status == 200
    foreign = {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}
    assert (
        web.request("POST", f"/unsubscribe?token={token}", b"List-Unsubscribe=One-Click", FORM | foreign).status == 200
    )
    assert web.request("POST", "/unsubscribe?token=x", b"", FORM | {"Accept": "text/html"}).status == 400
    assert gateway.port


def test_responses_do_not_reveal_who_is_subscribed(web: Web) -> None:
    answers = [web.request("POST", "/newsletter/subscribe", b"email=ann%40example.org", FORM) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert "Check your e-mail" in answers[0].text
    known, unknown = (
        web.request("POST", "/newsletter/unsubscribe", f"email={name}%40example.org".encode(), FORM)
        for name in ("ann", "bob")
    )
    assert known.body == unknown.body
    assert web.request("POST", "/newsletter/subscribe", b"email=nobody", FORM).status == 400


def test_the_language_form_leads_back_to_this_site_only(web: Web) -> None:
    for back, target in (
        ("%2Fnewsletter", "/newsletter"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
    ):
        answer = web.request("POST", "/language", f"language=ru&back={back}".encode(), FORM)
        assert (answer.status, answer.headers["location"]) == (303, target)
    page = web.get("/newsletter", Cookie=answer.headers["set-cookie"].partition(";")[0])
    assert '<html lang="ru">' in page.text


def email(mailbox: Path, name: str, html: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße <b>", "a@example.org", "b@example.org"
    message.set_content("the text <script>")
    message.add_alternative(html, subtype="html")
    message.get_payload()[1].add_related(b"PNG", "image", "png", cid="<thumb>")  # type: ignore[index,union-attr]
    message.add_attachment(b"<script>evil</script>", "text", "html", filename="../e vil.html")
    message["Delivered-To"] = "b@example.org"
    (mailbox / "new").mkdir(exist_ok=True)
    (mailbox / "new" / name).write_bytes(message.as_bytes())


def test_messages_are_shown_in_a_sandbox(web: Web, mailbox: Path) -> None:
    assert "No e-mails yet" in web.get("/mailbox").text
    email(mailbox, "0001-hello", '<p>Hi <img src="cid:thumb"><a href="https://example.org">x</a><script>1</script>')
    email(mailbox, "0012-later", "<p>Later")
    listed = web.get("/mailbox").text
    assert listed.index("0012-later") < listed.index("0001-hello")
    shown = web.get("/mailbox/0001-hello").text
    assert "Grüße &lt;b&gt;" in shown
    assert "the text &lt;script&gt;" in shown
    assert 'sandbox="allow-top-navigation-by-user-activation"' in shown
    html = web.get("/mailbox/0001-hello/html")
    policy = html.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-top-navigation-by-user-activation" in policy
    assert "script" not in policy
    assert '<img src="data:image/png;base64,UE5H">' in html.text
    assert web.get("/mailbox/0001-hello/parts/2").body == b"PNG"
    attachment = web.get("/mailbox/0001-hello/parts/3")
    assert attachment.headers["content-type"] == "application/octet-stream"
    assert attachment.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in attachment.headers["content-security-policy"]


def test_the_mailbox_is_served_only_if_it_is_configured(gateway: Gateway) -> None:
    settings = WebSettings(web_address="127.0.0.1:0", gateway_url=f"http://127.0.0.1:{gateway.port}")
    with serving(settings) as web:
        assert web.get("/mailbox").status == 404
        assert 'href="/mailbox"' not in web.get("/").text


def test_static_files_are_immutable(web: Web) -> None:
    page = web.get("/").text
    address = page.partition('stylesheet" href="')[2].partition('"')[0]
    style = web.get(address)
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["cache-control"]
    assert eventually(lambda: web.get("/health").status == 200)


def test_without_the_required_key_the_pages_are_healthy_but_unavailable(settings: GatewaySettings) -> None:
    with (
        running(settings.model_copy(update={"require_keys": True})) as gateway,
        serving(WebSettings(web_address="127.0.0.1:0", gateway_url=f"http://127.0.0.1:{gateway.port}")) as web,
    ):
        answer = web.get("/health")
        assert (answer.status, "refused by the gateway" in answer.text) == (200, True)
        assert web.get("/").status == 503
