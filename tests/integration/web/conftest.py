"""The pages on a free port, over a real gateway without workers; requests over HTTP."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.web.server import serve
from services.web.settings import WebSettings
from tests.integration.gateway.conftest import Gateway, gateway, locked, settings
from tests.support.serving import served

__all__ = ["gateway", "locked", "settings"]  # fixtures of the gateway's own tests


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite is enough: the pages do not use the database."""
    return sqlite_url


@dataclass
class HttpResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Web:
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> HttpResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return HttpResponse(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serving(settings: WebSettings) -> Iterator[Web]:
    """Serve the pages with these settings."""
    with served(serve(settings)) as port:
        yield Web(port)


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    folder = tmp_path / "mailbox"
    folder.mkdir()
    return folder


@pytest.fixture
def web(gateway: Gateway, mailbox: Path) -> Iterator[Web]:
    settings = WebSettings(
        web_address="127.0.0.1:0", gateway_url=f"http://127.0.0.1:{gateway.port}", mailbox_dir=mailbox
    )
    with serving(settings) as web:
        yield web
