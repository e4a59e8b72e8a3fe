"""The operator pages in a real browser."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur_client import Client
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
    expect(page.locator(".badge.good")).to_be_visible()
    expect(page.locator(".trace li")).to_have_count(4)


def test_all_failures_are_dismissed_after_a_confirmation(
    page: Page, stack: BackgroundStack, client: Client, operator: OperatorServiceStub
) -> None:
    order_id = crash_image(stack, client, operator, "dropped@example.org")
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
    page.get_by_text("Send now", exact=True).click()
    page.get_by_role("button", name="Send to all subscribers").click()
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
