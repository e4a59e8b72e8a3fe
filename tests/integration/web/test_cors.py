"""Pages of other sites in a browser: refused, unless the operator allows their origin."""

from playwright.sync_api import Browser

from services.web.settings import WebSettings
from tests.integration.gateway.conftest import Gateway
from tests.integration.web.conftest import Web, serving
from tests.integration.web.test_browser import browser

__all__ = ["browser"]

PLACE = """async url => {
  const form = new FormData();
  form.append("image", new Blob(["x"]), "a.jpg");
  const status = (path, options) => fetch(url + path, options).then(r => r.status, () => "refused");
  return [
    await status("/v1/limits", {headers: {Authorization: "Bearer ib_wrong"}}),
    await status("/v1/orders", {method: "POST", body: form}),
    await status("/newsletter/subscribe", {method: "POST"}),
  ];
}"""


def test_other_sites_call_the_interface_only_if_they_may(browser: Browser, gateway: Gateway, web: Web) -> None:
    site = f"http://localhost:{web.port}"
    gateway_url = f"http://127.0.0.1:{gateway.port}"
    allowing = WebSettings(web_address="127.0.0.1:0", gateway_url=gateway_url, cors_origins=f"https://a.example,{site}")
    refusing = WebSettings(web_address="127.0.0.1:0", gateway_url=gateway_url)
    context = browser.new_context(bypass_csp=True)  # of the page that calls: it may connect to itself only
    page = context.new_page()
    page.goto(site)
    with serving(allowing) as other:
        assert page.evaluate(PLACE, f"http://127.0.0.1:{other.port}") == [401, 201, "refused"]
    with serving(refusing) as other:
        assert page.evaluate(PLACE, f"http://127.0.0.1:{other.port}") == ["refused", "refused", "refused"]
        # Not only hidden from the page: nothing was placed.
        assert other.request("POST", "/v1/orders", b"{}", {"Origin": site}).status == 403
    context.close()
