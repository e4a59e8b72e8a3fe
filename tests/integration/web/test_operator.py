"""Access to the operator pages over HTTP, against a gateway that requires keys."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

import pytest
from imageblur.v1 import blur_service_pb2
from pydantic import SecretStr
from sqlalchemy import select, update

from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.models import PausedQueue, WebhookEvent
from services.common.domain.api_keys import HINT_LENGTH, Role
from services.web.settings import WebSettings
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.test_keys import bearer, known
from tests.integration.gateway.test_orders import HEADER, PICTURE
from tests.integration.web.conftest import HttpResponse, Web, serving
from tests.support.waiting import eventually

TEST = AuditContext("test", "Test")
PAGES = ("", "/orders", "/failures", "/webhooks", "/mailings", "/keys", "/audit", "/mailings/preview/html", "/orders/x")
SIGN_IN = "/operator/sign-in"
Make = Callable[[Role], tuple[UUID, str]]


@pytest.fixture
def make(database: Database, locked: Gateway) -> Make:
    """Makes a key that the gateway knows of."""

    def make(role: Role) -> tuple[UUID, str]:
        with database.write() as session:
            made = api_keys.create(session, TEST, name="a test's", role=role, seconds=None)
        known(locked, made.key)
        return made.row.id, made.key

    return make


def web_settings(gateway: Gateway, **values: object) -> WebSettings:
    return WebSettings(
        web_address="127.0.0.1:0",
        gateway_url=f"http://127.0.0.1:{gateway.port}",
        **values,  # type: ignore[arg-type]
    )


@pytest.fixture
def guarded(locked: Gateway) -> Iterator[Web]:
    """Pages with a public URL."""
    settings = web_settings(locked, public_url="https://blur.example.org", operator_pages=True)
    with serving(settings) as web:
        yield web


@dataclass
class Browser:
    """Keeps a cookie."""

    web: Web
    cookie: str = ""

    def get(self, path: str) -> HttpResponse:
        return self.web.request("GET", f"/operator{path}", headers={"Cookie": self.cookie, "Accept": "text/html"})

    def post(self, path: str, token: str | None = None, **fields: str) -> HttpResponse:
        sent = fields | ({} if token is None else {"form_token": token})
        headers = {"Cookie": self.cookie, "Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
        return self.web.request("POST", f"/operator{path}", urlencode(sent).encode(), headers)

    def form_token(self, path: str = "/sign-in") -> str:
        found = re.search(r'name="form_token" value="(\w+)"', self.get(path).text)
        assert found
        return found[1]

    def sign_in(self, key: str) -> HttpResponse:
        answer = self.post("/sign-in", self.form_token(), key=key)
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer


def paused(database: Database) -> bool:
    with database.read() as session:
        return session.scalar(select(PausedQueue)) is not None


def test_without_a_session_there_is_only_the_sign_in_page(guarded: Web) -> None:
    for page in PAGES:
        answer = Browser(guarded).get(page)
        assert (answer.status, answer.headers["location"], answer.body) == (303, SIGN_IN, b""), page
    page = Browser(guarded).get("/sign-in").text
    assert not re.search("Overview|Failures|Audit|blur worker", page)
    # The pages of visitors do not link to them.
    assert "operator" not in guarded.get("/", Accept="text/html").text


def test_the_pages_are_off_where_other_machines_reach_them(locked: Gateway) -> None:
    with serving(web_settings(locked, public_url="https://blur.example.org")) as web:
        for page in (*PAGES, "/sign-in"):
            assert Browser(web).get(page).status == 404


def test_the_key_of_the_pages_gives_nobody_access(locked: Gateway, make: Make) -> None:
    _, key = make(Role.ADMIN)
    with serving(web_settings(locked, gateway_key=SecretStr(key))) as web:
        assert Browser(web).get("").headers["location"] == SIGN_IN


def test_a_local_user_needs_no_key_but_requests_through_a_proxy_do(web: Web) -> None:
    assert web.get("/operator", Accept="text/html").status == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert web.request("GET", "/operator", headers={header: "192.0.2.1"}).status == 303


def test_a_key_is_required_outside_loopback_even_if_the_gateway_requires_none(gateway: Gateway) -> None:
    with serving(web_settings(gateway, public_url="https://blur.example.org", operator_pages=True)) as web:
        assert Browser(web).get("").status == 303


@pytest.mark.parametrize("key", ["", "x", "ключ", "a\r\nb: c", "ib_" + "x" * 43])
def test_a_wrong_key_gives_no_access(guarded: Web, key: str) -> None:
    answer = Browser(guarded).sign_in(key)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_a_client_key_gives_no_access(guarded: Web, make: Make) -> None:
    answer = Browser(guarded).sign_in(make(Role.CLIENT)[1])
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_http_only_same_site_secure_and_not_the_key(guarded: Web, make: Make) -> None:
    _, key = make(Role.ADMIN)
    cookie = Browser(guarded).sign_in(key).headers["set-cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "secure", "path=/operator"} <= attributes
    assert key not in cookie
    assert key[:12] not in cookie


def test_an_administrator_pauses_and_resumes_a_queue(guarded: Web, make: Make, database: Database) -> None:
    browser = Browser(guarded)
    assert browser.sign_in(make(Role.ADMIN)[1]).headers["location"] == "/operator"
    assert browser.get("").status == 200
    answer = browser.post("/queues/blur/pause", browser.form_token(""))
    assert answer.headers["location"] == "/operator?done=paused"
    assert paused(database)
    browser.post("/queues/blur/resume", browser.form_token(""))
    assert not paused(database)
    assert browser.post("/queues/none/pause", browser.form_token("")).status == 404


def test_a_webhook_that_was_given_up_is_a_failure_and_is_posted_again(
    guarded: Web, locked: Gateway, make: Make, database: Database
) -> None:
    browser, (_, key) = Browser(guarded), make(Role.ADMIN)
    header = blur_service_pb2.OrderHeader(webhook_url="https://hooks.example.org/")
    request = blur_service_pb2.BlurOrderRequest(order=header, images=[PICTURE])
    order_id = locked.blur.BlurOrder(request, metadata=bearer(key)).order.order_id
    locked.blur.CancelOrder(blur_service_pb2.CancelOrderRequest(order_id=order_id), metadata=bearer(key))
    with database.write() as session:
        failed = {"state": "FAILED", "message": "HTTP 500", "finished_at": WebhookEvent.created_at}
        event_id = session.scalars(update(WebhookEvent).values(failed).returning(WebhookEvent.id)).one()
    browser.sign_in(key)
    assert "1 event given up" in browser.get("").text
    listed = browser.get("/failures?kind=webhook").text
    assert "Webhooks: not taken by its receiver" in listed
    assert "HTTP 500" in listed
    shown = browser.get(f"/orders/{order_id}").text
    assert "order.cancelled: HTTP 500" in shown
    assert f"/operator/webhooks?order={order_id}" in shown
    assert "Retries 1 image, e-mail or webhook." in shown
    answer = browser.post("/failures/retry", browser.form_token("/failures"), one=str(event_id))
    assert "done=retried" in answer.headers["location"]
    with database.read() as session:
        assert session.get_one(WebhookEvent, event_id).state == "QUEUED"
    assert "No failures" in browser.get("/failures").text


def test_forms_without_the_token_of_the_session_change_nothing(guarded: Web, make: Make, database: Database) -> None:
    ours, theirs = Browser(guarded), Browser(guarded)
    signed_out = ours.form_token()
    ours.sign_in(make(Role.ADMIN)[1])
    theirs.sign_in(make(Role.ADMIN)[1])
    for token in (None, "", "x", "ж", signed_out, theirs.form_token("")):
        assert ours.post("/queues/blur/pause", token).status == 403, token
    headers = {"Cookie": ours.cookie, "Sec-Fetch-Site": "cross-site"}
    assert guarded.request("POST", "/operator/queues/blur/pause", b"", headers).status == 403
    assert not paused(database)
    assert ours.get("/queues/blur/pause").status == 405


def test_a_viewer_has_read_only_access(guarded: Web, make: Make, database: Database) -> None:
    browser = Browser(guarded)
    browser.sign_in(make(Role.VIEWER)[1])
    for page in ("", "/orders", "/failures", "/mailings", "/audit"):
        answer = browser.get(page)
        assert answer.status == 200, page
        assert set(re.findall(r'method="post" action="([^"]+)"', answer.text)) <= {
            "/language",
            "/operator/sign-out",
            "/operator/orders",
        }
    assert browser.get("/keys").status == 403
    token = browser.form_token("")
    nobody = "00000000-0000-4000-8000-000000000000"
    for path, fields in (
        ("/queues/blur/pause", {}),
        ("/queues/mail/purge", {}),
        ("/failures/retry", {"all": "yes"}),
        ("/failures/dismiss", {"one": nobody}),
        ("/mailings/run", {}),
        ("/mailings/test", {"email": "a@example.org"}),
        ("/mailings/check", {"email": "a@example.org"}),
        (f"/mailings/{nobody}/cancel", {}),
        ("/keys", {"name": "mine", "role": "admin"}),
        (f"/keys/{nobody}/rotate", {}),
        (f"/keys/{nobody}/revoke", {}),
        ("/orders", {"search": "ann@example.org"}),
    ):
        assert browser.post(path, token, **fields).status == 403, path
    assert not paused(database)


def test_a_revoked_key_ends_the_session(guarded: Web, make: Make, database: Database) -> None:
    key_id, key = make(Role.ADMIN)
    browser = Browser(guarded)
    browser.sign_in(key)
    assert browser.get("").status == 200
    with database.write() as session:
        api_keys.revoke(session, TEST, key_id)
    eventually(lambda: browser.get("").status == 303)


def test_signing_out_ends_the_session_on_the_server(guarded: Web, make: Make) -> None:
    browser = Browser(guarded)
    browser.sign_in(make(Role.ADMIN)[1])
    browser.post("/sign-out", browser.form_token(""))
    assert browser.get("").headers["location"] == SIGN_IN


def test_a_new_key_is_shown_once(guarded: Web, make: Make) -> None:
    browser = Browser(guarded)
    browser.sign_in(make(Role.ADMIN)[1])
    answer = browser.post("/keys", browser.form_token("/keys"), name="batch", role="viewer", days="3")
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'id="new-key">([^<]+)<', answer.text)
    assert found
    listed = browser.get("/keys").text
    assert "batch" in listed
    assert found[1] not in listed
    assert Browser(guarded).sign_in(found[1]).status in {303, 403}
    refused = browser.post("/keys", browser.form_token("/keys"), name="x", role="client", days="0")
    assert refused.status == 400
    # A change of language leads to a page that supports GET.
    assert 'name="back" value="/operator"' in refused.text


def test_orders_are_found_and_no_address_is_shown(guarded: Web, make: Make, locked: Gateway) -> None:
    _, key = make(Role.ADMIN)
    metadata = (("authorization", f"Bearer {key}"),)
    request = blur_service_pb2.BlurOrderRequest(order=HEADER, images=[PICTURE])
    order_id = locked.blur.BlurOrder(request, metadata=metadata).order.order_id
    browser = Browser(guarded)
    browser.sign_in(key)
    token = browser.form_token("")
    found = browser.post("/orders", token, search=f" {order_id.upper()} ")
    assert found.headers["location"] == f"/operator/orders/{order_id}"
    by_address = browser.post("/orders", token, search="ANN@").headers["location"].removeprefix("/operator")
    assert "ann" not in by_address.lower()  # URLs are logged and kept in histories
    for page in (by_address, f"/orders?id={order_id[:6]}", "/orders?state=queued&period=today", f"/orders/{order_id}"):
        answer = browser.get(page)
        assert answer.status == 200, page
        assert order_id in answer.text, page
        assert "ann@example.org" not in answer.text
    assert browser.post("/orders", token, search=f"{order_id[:8]}…").headers["location"].endswith(order_id)
    other = browser.post("/orders", token, search="bert@example.org").headers["location"].removeprefix("/operator")
    assert order_id not in browser.get(other).text
    forgotten = browser.get("/orders?q=unknown").text
    assert "no longer known" in forgotten
    assert order_id not in browser.get("/orders?state=failed").text
    assert browser.get("/orders/x").status == 400


def test_all_rows_of_a_page_can_be_ticked(guarded: Web, make: Make, locked: Gateway) -> None:
    _, key = make(Role.ADMIN)
    request = blur_service_pb2.BlurOrderRequest(order=HEADER, images=[PICTURE])
    metadata = (("authorization", f"Bearer {key}"),)
    ids = [locked.blur.BlurOrder(request, metadata=metadata).order.order_id for _ in range(50)]
    browser = Browser(guarded)
    browser.sign_in(key)
    token = browser.form_token("")
    fields = [("form_token", token), ("action", "cancel"), ("scope", "ticked"), ("state", "queued"), ("period", "1h")]
    fields += [("order_id", order_id) for order_id in ids]
    headers = {"Cookie": browser.cookie, "Content-Type": "application/x-www-form-urlencoded"}
    dry_run = guarded.request("POST", "/operator/orders/actions", urlencode(fields).encode(), headers)
    assert dry_run.status == 200
    assert "Cancel: 50" in dry_run.text
    confirmed = urlencode([*fields, ("confirmed", "yes")]).encode()
    done = guarded.request("POST", "/operator/orders/actions", confirmed, headers)
    assert done.headers["location"] == "/operator/orders?state=queued&period=1h&done=orders_cancel&n=50"
    # A stranger's form stays small.
    assert guarded.request("POST", "/operator/sign-in", b"&".join([b"key=x"] * 50), headers).status == 400


def test_no_key_and_no_token_gets_into_the_log(
    guarded: Web, make: Make, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    _, key = make(Role.ADMIN)
    browser = Browser(guarded)
    with caplog.at_level(logging.DEBUG):
        browser.sign_in(key)
        browser.get("")
        browser.post("/queues/blur/pause", "x")
        Browser(guarded).sign_in(f"{key}x")
    captured = capfd.readouterr()
    logged = caplog.text + captured.out + captured.err
    assert "sign-in refused" in logged
    assert key[HINT_LENGTH:] not in logged
    assert browser.cookie.partition("=")[2] not in logged
