"""The operator pages in a real browser."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import Client, InputFile
from imageblur_client.errors import ImageBlurClientError
from playwright.sync_api import Page, expect

from services.stack.background import BackgroundStack
from services.web.settings import WebSettings
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import token_of, wait_for_emails
from tests.e2e.web.failing_images import crash_image
from tests.e2e.web.operator_tour import sign_in, try_sign_in
from tests.e2e.web.web_process import public_pages
from tests.support.ports import free_port
from tests.support.waiting import eventually


@pytest.fixture
def operator(stack: BackgroundStack) -> Iterator[OperatorServiceStub]:
    with grpc.insecure_channel(stack.gateway_address) as channel:
        yield OperatorServiceStub(channel)


def test_a_failed_image_is_retried(
    page: Page, stack: BackgroundStack, client: Client, operator: OperatorServiceStub
) -> None:
    order_id = crash_image(stack, client, operator, "given-up@example.org")
    page.goto("/operator")
    page.locator("#queue-blur .bad a").click()
    row = page.locator(".failures tbody tr", has_text=order_id[:8])
    expect(row).to_contain_text("three times")
    row.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status")).to_have_text("1 failure queued for retry.")
    expect(page.locator(".failures tbody tr", has_text=order_id[:8])).to_have_count(0)
    (*_, last) = client.watch(order_id)
    assert last.order.state == order_pb2.ORDER_STATE_SUCCEEDED
    page.goto(f"/operator/orders/{order_id}")
    expect(page.locator(".summary .badge.good")).to_be_visible()
    expect(page.locator(".trace li")).to_have_count(2)  # the upload, and all images together
    expect(page.locator(".images tbody tr")).to_have_count(1)
    expect(page.locator(".images tbody tr")).to_contain_text("Completed")


def test_all_failures_are_dismissed_after_a_confirmation(
    page: Page, stack: BackgroundStack, client: Client, operator: OperatorServiceStub
) -> None:
    order_id = crash_image(stack, client, operator, "dismissed@example.org")
    page.goto(f"/operator/failures?order={order_id}")
    page.get_by_text("Dismiss all", exact=True).click()
    page.get_by_role("button", name="Dismiss permanently").click()
    expect(page.get_by_role("status")).to_have_text("1 failure dismissed.")
    page.goto(f"/operator/failures?order={order_id}")
    expect(page.get_by_role("heading", name="No failures")).to_be_visible()


def test_a_queue_is_paused_and_resumed_and_the_page_refreshes_itself(
    page: Page, client: Client, operator: OperatorServiceStub
) -> None:
    page.goto("/operator")
    queue = page.locator("#queue-blur")
    try:
        queue.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("status")).to_contain_text("paused")
        expect(queue.locator(".badge")).to_have_text("Paused")
        # The worker notices the pause within half a second; the order needs more than a second.
        # The page refreshes itself.
        order = client.order("paused@example.org", [PHOTOGRAPHS / "rocket.jpg"] * 400)
        expect(queue.locator("dd").first).not_to_have_text("0")
        queue.get_by_role("button", name="Resume").click()
        expect(queue.locator(".badge")).to_have_text("Active")
    finally:
        operator.ResumeQueue(pb.ResumeQueueRequest(queue="blur"))
    (*_, last) = client.watch(order.order_id)
    assert last.order.counts.succeeded == 400
    expect(queue.locator("dd").first).to_have_text("0")
    actions = [entry.action for entry in operator.ListAuditEntries(pb.ListAuditEntriesRequest(page_size=5)).entries]
    assert {"PauseQueue", "ResumeQueue"} <= set(actions)


def test_a_mailing_is_previewed_tested_and_run(page: Page, stack: BackgroundStack, client: Client) -> None:
    client.subscribe("steered@example.org")
    client.confirm(token_of(wait_for_emails(stack, "steered@example.org")[0], "confirm"))
    page.goto("/operator/mailings")
    page.get_by_role("link", name="Preview").click()
    expect(page.frame_locator("iframe").locator("h1")).to_be_visible()
    page.get_by_role("navigation", name="Language").get_by_role("link", name="Русский").click()
    expect(page.frame_locator("iframe").locator("h1")).to_contain_text("неделю")

    page.goto("/operator/mailings")
    page.fill("#email", "proof@example.org")
    page.get_by_role("button", name="Send test newsletter").click()
    expect(page.locator(".badge.good")).to_have_text("Accepted")
    assert "proof@example.org" not in page.content()
    wait_for_emails(stack, "proof@example.org")

    page.goto("/operator/mailings")
    page.locator("details.send > summary").click()
    page.get_by_role("button", name=re.compile("^Send to all")).click()
    expect(page.get_by_role("status")).to_have_text("Mailing started.")
    wait_for_emails(stack, "steered@example.org", 2)
    # The page is refreshed by itself.
    expect(page.locator(".mailings .badge").first).to_have_text("Completed")


def test_a_viewer_has_read_only_access(page: Page, operator: OperatorServiceStub) -> None:
    made = operator.CreateApiKey(pb.CreateApiKeyRequest(name="viewer", role=operator_pb2.API_KEY_ROLE_VIEWER))
    eventually(lambda: try_sign_in(page, made.key))
    expect(page.locator(".queue").first).to_be_visible()
    for name in ("Pause", "Resume"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.locator(".danger")).to_have_count(0)
    # The gateway refuses the action even if the page is manipulated to send it.
    page.evaluate("document.querySelector('.account form').action = '/operator/queues/mail/pause'")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Administrator role required")).to_be_visible()
    assert not any(queue.paused for queue in operator.ListQueues(pb.ListQueuesRequest()).queues)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/operator/sign-in")


def test_without_a_key_there_is_only_the_sign_in_page(
    visit: Any, stack: BackgroundStack, operator: OperatorServiceStub
) -> None:
    settings = WebSettings(
        web_address=f"127.0.0.1:{free_port()}",
        gateway_url=f"http://{stack.gateway_address}",
        public_url="http://blur.example.org",
        operator_pages=True,
    )
    page = visit(also=["http://127.0.0.1:"]).page()
    with public_pages(settings) as address:
        page.goto(address)
        expect(page.locator("a[href^='/operator']")).to_have_count(0)
        for path in ("", "/orders", "/failures", "/keys"):
            page.goto(f"{address}operator{path}")
            assert page.url == f"{address}operator/sign-in"
        sign_in(page, "ib_not_a_key", address)
        expect(page.get_by_role("alert")).to_have_text(
            "Invalid API key, or its role has no access. Check the key and try again."
        )
        made = operator.CreateApiKey(pb.CreateApiKeyRequest(name="admin", role=operator_pb2.API_KEY_ROLE_ADMIN))
        eventually(lambda: try_sign_in(page, made.key, address))
        (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == "operator"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/operator")
        operator.RevokeApiKey(pb.RevokeApiKeyRequest(api_key_id=made.api_key.api_key_id))
        # An open page notices with its next refresh.
        page.wait_for_url("**/operator/sign-in")


def test_without_scripts_the_page_refreshes_itself_until_paused(visit: Any) -> None:
    page = visit(java_script_enabled=False).page()
    page.goto("/operator")
    expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1)
    page.get_by_role("link", name="Pause refresh").click()
    expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)
    expect(page.locator("#queue-blur .danger summary")).to_be_visible()


def test_orders_are_found_by_a_part_of_an_address_and_kept_longer_after_a_dry_run(
    page: Page, client: Client, operator: OperatorServiceStub
) -> None:
    mine = [client.order(f"part-{number}@find.example", [PHOTOGRAPHS / "rocket.jpg"]) for number in range(2)]
    client.order("another@example.org", [PHOTOGRAPHS / "rocket.jpg"])
    for order in mine:
        for _ in client.watch(order.order_id):
            pass
    page.goto("/operator/orders")
    page.fill("#search", "@FIND.exam")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".rows tbody tr")).to_have_count(2)
    assert "find" not in page.url.lower()
    page.reload()  # the filter is in the URL
    expect(page.locator(".rows tbody tr")).to_have_count(2)

    page.get_by_label("All orders that match the filter").check()
    page.select_option("#action", "extend")
    page.fill("#days", "3")
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".dry-run-count")).to_contain_text("2 of 2")
    assert not actions_on(operator, mine[0].order_id)
    page.get_by_role("button", name="Keep longer: 2").click()
    expect(page.get_by_role("status")).to_have_text("2 orders are kept longer.")
    expect(page.locator(".rows tbody tr")).to_have_count(2)  # still the same filter
    for order in mine:
        assert actions_on(operator, order.order_id) == ["ExtendOrders"]
        later = client.status(order.order_id).order.expire_time.seconds
        assert later - order.expire_time.seconds >= 3 * 86_400

    with page.expect_download() as csv:
        page.get_by_role("link", name="CSV").click()
    lines = csv.value.path().read_text("utf-8").splitlines()
    assert {line.partition(",")[0] for line in lines[1:]} == {order.order_id for order in mine}
    assert "@find" not in csv.value.path().read_text("utf-8").replace("p***@find.example", "")
    with page.expect_download() as exported:
        page.get_by_role("link", name="JSON").click()
    assert len(json.loads(exported.value.path().read_text("utf-8"))) == 2


def test_an_order_s_page_acts_on_it(page: Page, stack: BackgroundStack, client: Client) -> None:
    files = [InputFile((PHOTOGRAPHS / "rocket.jpg").read_bytes(), name=f"{number}.jpg") for number in range(60)]
    order = client.order("acted@example.org", files, keep_originals_for=timedelta(hours=1))
    for _ in client.watch(order.order_id):
        pass
    page.goto("/operator/orders")
    page.fill("#search", order.order_id[:8])
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(f"**/operator/orders/{order.order_id}")
    expect(page.locator(".images tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(".images tbody tr")).to_have_count(10)
    expect(page.locator(".images tbody tr").last).to_contain_text("59.jpg")

    page.locator("summary", has_text="Send by e-mail again").click()
    page.get_by_role("button", name="Send by e-mail again").click()
    expect(page.get_by_role("status")).to_have_text("1 order is being e-mailed.")
    wait_for_emails(stack, "acted@example.org")
    page.locator("summary", has_text="Blur again").click()
    page.get_by_role("button", name="Blur again").click()
    expect(page.get_by_role("status")).to_have_text("1 order is being blurred again.")
    # The page refreshes itself until the images have ended.
    expect(page.locator(".summary .badge.good")).to_be_visible(timeout=60_000)
    expect(page.locator("#live")).to_contain_text("ReviseOrders")
    expect(page.get_by_role("link", name="Customer's page")).to_have_attribute("href", f"/orders/{order.order_id}")
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_have_text("1 order deleted.")


def test_a_bad_file_is_no_alarm_and_no_retry_is_offered(page: Page, client: Client) -> None:
    order = client.order("bad-file@example.org", [InputFile(b"no image", name="a.jpg")])
    for _ in client.watch(order.order_id):
        pass
    page.goto(f"/operator/orders/{order.order_id}")
    row = page.locator(".images tbody tr")
    expect(row).to_contain_text("File: not an image")
    expect(row.locator(".badge.bad")).to_have_count(0)
    expect(page.get_by_text("Retry failures")).to_have_count(0)
    page.goto(f"/operator/failures?order={order.order_id}")
    expect(page.get_by_role("heading", name="Bad files, addresses and receivers")).to_be_visible()
    expect(page.get_by_role("heading", name="To look at")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Retry: "))).to_have_count(0)


def test_a_new_key_is_copied_and_restricted(visit: Any, operator: OperatorServiceStub) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"]).page()
    page.goto("/operator/keys")
    page.fill("#name", "copied")
    page.get_by_label("No expiration").check()
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#new-key").inner_text()
    expect(page.locator("main")).to_contain_text("No expiration")
    page.get_by_role("link", name="API keys").last.click()
    page.get_by_role("link", name="Restrict: copied").click()
    page.get_by_label("Orders: place").check()
    page.fill("#images_per_day", "200")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".rows tr", has_text="copied")).to_contain_text("Images per day: 200")
    (key,) = [k for k in operator.ListApiKeys(pb.ListApiKeysRequest()).api_keys if k.name == "copied"]
    assert list(key.scopes) == [operator_pb2.API_KEY_SCOPE_ORDERS]
    assert key.limits.images_per_day == 200
    assert not key.HasField("expire_time")


def test_a_consent_is_of_the_same_day_in_every_time_zone(visit: Any) -> None:
    page = visit(timezone_id="America/New_York").page()
    page.goto("/operator/subscribers")
    rows = b"email\nconsenting@example.org\n"
    page.set_input_files("#file", {"name": "fair.csv", "mimeType": "text/csv", "buffer": rows})
    page.fill("#source", "fair 2026")
    page.select_option("#consent", "attested")
    page.fill("#consent_date", "2026-05-31")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    page.goto("/operator/subscribers")
    row = page.locator(".rows tr", has_text="consenting@example.org")
    expect(row.locator("time")).to_have_text(re.compile("^31 May 2026$|^May 31, 2026$"))


def test_without_scripts_orders_are_searched_and_cancelled(visit: Any, client: Client) -> None:
    page = visit(java_script_enabled=False).page()
    order = client.order("scriptless@example.org", [PHOTOGRAPHS / "rocket.jpg"])
    page.goto("/operator/orders")
    page.fill("#search", "scriptless")
    page.select_option("#period", "1h")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".rows tbody tr")).to_have_count(1)
    page.locator("input[name=order_id]").check()
    page.select_option("#action", "delete")
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Delete: 1").click()
    expect(page.get_by_role("status")).to_have_text("1 order deleted.")
    with pytest.raises(ImageBlurClientError):
        client.status(order.order_id)


def actions_on(operator: OperatorServiceStub, order_id: str) -> list[str]:
    """What the audit log has about an order."""
    request = pb.ListAuditEntriesRequest(subject=f"orders/{order_id}")
    return [entry.action for entry in operator.ListAuditEntries(request).entries]
