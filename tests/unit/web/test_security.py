"""Security headers, host names and cross-site requests."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from services.web.http.security import SecurityMiddleware

HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "blur.example.org"})


def request(
    headers: dict[str, str],
    method: str = "GET",
    path: str = "/",
    hosts: frozenset[str] | None = HOSTS,
    public_url: str | None = None,
) -> tuple[int, dict[str, str]]:
    sent: list[Any] = []
    fields = [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in ({"host": "localhost:8080"} | headers).items()
    ]
    scope = {"type": "http", "method": method, "path": path, "headers": fields}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(SecurityMiddleware(PlainTextResponse("inside"), hosts, public_url)(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_every_response_has_security_headers() -> None:
    for status, headers in (
        request({}),
        request({"host": "evil.example"}),
        request({"sec_fetch_site": "cross-site"}, "POST"),
    ):
        assert status in {200, 403, 421}
        assert "'unsafe" not in headers["content-security-policy"]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("blur.example.org", 200),
        ("rebound.example:8080", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_unknown_host_names_are_refused(host: str, status: int) -> None:
    assert request({"host": host})[0] == status
    assert request({"host": host}, hosts=None)[0] == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/orders", {"sec_fetch_site": "same-origin"}, 200),
        ("/orders", {"sec_fetch_site": "none"}, 200),
        ("/orders", {"sec_fetch_site": "same-site"}, 403),
        ("/newsletter/subscribe", {"sec_fetch_site": "cross-site"}, 403),
        ("/orders", {"origin": "http://localhost:8080"}, 200),
        ("/orders", {"origin": "http://localhost:9999"}, 403),
        ("/api/orders", {"origin": "https://evil.example"}, 403),
        ("/newsletter/subscribe", {"origin": "null"}, 403),
        ("/orders", {}, 200),
        # Other sites know neither the id of an order nor the token of an e-mail.
        ("/orders/5f0c/cancel", {"origin": "null"}, 200),
        ("/confirm", {"origin": "null"}, 200),
        ("/receive", {"origin": "null"}, 200),
        ("/unsubscribe", {"origin": "https://mail.example", "sec_fetch_site": "cross-site"}, 200),
    ],
)
def test_cross_site_writes_are_refused(path: str, headers: dict[str, str], status: int) -> None:
    assert request(headers, "POST", path)[0] == status
    assert request(headers, "GET", path)[0] == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("blur.example.org", "https://blur.example.org:8443", 200),  # nginx: proxy_set_header Host $host
        ("127.0.0.1:8080", "https://blur.example.org:8443", 200),  # nginx without that
        ("blur.example.org", "https://blur.example.org:9999", 403),
        ("blur.example.org", "http://blur.example.org:8443", 403),
        ("blur.example.org", "https://evil.example", 403),
        ("blur.example.org", "https://[", 403),
    ],
)
def test_the_public_url_is_the_site_itself(
    host: str, origin: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"host": host, "origin": origin}
    assert request(headers, "POST", "/api/orders", public_url="https://blur.example.org:8443/")[0] == status
    logged = "".join(capsys.readouterr())
    assert ("IMAGEBLUR_PUBLIC_URL" in logged) == (status == 403)
    assert "evil" not in logged
    default_port = {"host": "localhost", "origin": "https://blur.example.org"}
    assert request(default_port, "POST", "/orders", public_url="https://BLUR.example.org:443")[0] == 200
