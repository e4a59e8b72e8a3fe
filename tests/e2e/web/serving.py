"""Pages of their own, as a process."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from services.web.settings import WebSettings
from tests.support.waiting import eventually


@contextmanager
def pages_without_gateway(settings: WebSettings) -> Iterator[str]:
    """The pages when what they need is away; their address."""
    environment = os.environ | {
        "IMAGEBLUR_WEB_ADDRESS": settings.web_address,
        "IMAGEBLUR_GATEWAY_URL": "http://127.0.0.1:1",
        "IMAGEBLUR_MAILBOX_DIR": "",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.web"], env=environment, stderr=subprocess.DEVNULL)
    address = f"http://{settings.web_address}/"
    try:
        eventually(lambda: _answers(address), within=30)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    except OSError:
        return False
