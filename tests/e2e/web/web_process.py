"""The pages as a process of their own."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from services.web.settings import WebSettings
from tests.support.waiting import eventually


@contextmanager
def pages_without_gateway(settings: WebSettings) -> Iterator[str]:
    """Serve pages whose gateway is unavailable; yields their address."""
    with _served(
        {"IMAGEBLUR_WEB_ADDRESS": settings.web_address, "IMAGEBLUR_GATEWAY_URL": "http://127.0.0.1:1"}
    ) as address:
        yield address


@contextmanager
def public_pages(settings: WebSettings) -> Iterator[str]:
    """Serve pages with a public URL; yields their address."""
    assert settings.public_url
    environment = {
        "IMAGEBLUR_WEB_ADDRESS": settings.web_address,
        "IMAGEBLUR_GATEWAY_URL": settings.gateway_url,
        "IMAGEBLUR_PUBLIC_URL": settings.public_url,
        "IMAGEBLUR_OPERATOR_PAGES": str(settings.serves_operators).lower(),
    }
    with _served(environment) as address:
        yield address


@contextmanager
def _served(values: Mapping[str, str]) -> Iterator[str]:
    environment = os.environ | {"IMAGEBLUR_MAILBOX_DIR": "", **values}
    process = subprocess.Popen([sys.executable, "-m", "services.web"], env=environment, stderr=subprocess.DEVNULL)
    address = f"http://{values['IMAGEBLUR_WEB_ADDRESS']}/"
    try:
        eventually(lambda: _answers(address))
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    except OSError:
        return False
