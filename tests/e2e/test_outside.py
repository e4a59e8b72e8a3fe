"""Sources, targets and webhooks with the whole stack: by the command line and over HTTP, from and to real folders."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imageblur_client import Client, verify_webhook
from imageblur_client.webhooks import WebhookVerificationError

from services.stack.background import BackgroundStack, background_stack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.certificates import Authority
from tests.support.https import HttpRequest, HttpsServer, answer, make_authority
from tests.support.ports import free_port
from tests.support.waiting import eventually

PHOTO = PHOTOGRAPHS / "chelsea.png"


@dataclass(frozen=True)
class World:
    """The stack, its places, and an authority that it believes."""

    stack: BackgroundStack
    photos: Path
    out: Path
    authority: Authority

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `imageblur` with these arguments."""
        return subprocess.run(
            [sys.executable, "-c", "from imageblur_client.cli import main; main()", *arguments],
            env=os.environ | {"IMAGEBLUR_SERVER": self.stack.gateway_address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("outside")
    authority = make_authority(folder)
    photos, out = folder / "photos", folder / "out"
    (photos / "june" / "deep").mkdir(parents=True)
    out.mkdir()
    shutil.copy(PHOTO, photos / "june" / "cat.png")
    shutil.copy(PHOTO, photos / "june" / "deep" / "cat.png")
    (photos / "june" / "notes.txt").write_text("no image")
    environment = {
        "IMAGEBLUR_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_MAILBOX_PORT": str(free_port()),
        "IMAGEBLUR_SWEEP_SECONDS": "1",
        "IMAGEBLUR_SOURCE_PLACES": f"photos={photos}",
        "IMAGEBLUR_TARGET_PLACES": f"out={out}",
        "IMAGEBLUR_ALLOWED_NETWORKS": "127.0.0.1/32",
        "SSL_CERT_FILE": str(authority.roots),
    }
    with background_stack(folder / "data", environment) as stack:
        yield World(stack, photos, out, authority)
        log = stack.log.read_text()
        assert "token=secret" not in log
        assert "whsec_" not in log


@pytest.fixture
def server(world: World) -> Iterator[HttpsServer]:
    with HttpsServer(world.authority) as server:
        yield server


def test_a_folder_is_blurred_into_another_and_the_end_is_posted(world: World, server: HttpsServer) -> None:
    limits = world.run("limits")
    assert "photos" in limits.stdout
    hook = server.url("/hook?token=secret")
    command = ("order", "--from", "photos:june", "--to", "out:done", "--webhook", hook, "--pixelate", "8", "--watch")
    done = world.run(*command)
    assert done.returncode == 0, done.stderr
    assert "accepted: 2 images" in done.stdout
    written = sorted(path.relative_to(world.out).as_posix() for path in world.out.rglob("*") if path.is_file())
    assert written == ["done/cat.png", "done/deep/cat.png"]
    assert (world.out / "done/cat.png").read_bytes() != PHOTO.read_bytes()

    (request,) = server.wait_requests(1)
    secret = world.run("webhook-secret").stdout.strip()
    event = verify_webhook(secret, request.headers, request.body)
    assert (event["type"], event["data"]["counts"]["succeeded"]) == ("order.finished", 2)
    assert event["data"]["order_id"] in done.stdout
    event_id = delivered_event(world, event["data"]["order_id"])
    resent = world.run("admin", "resend-webhooks", event_id)
    assert resent.stdout == "1 event posted again.\n"
    again = server.wait_requests(2)
    assert again[0].headers["webhook-id"] == again[1].headers["webhook-id"]

    delivered_event(world, event["data"]["order_id"])
    rotated = world.run("webhook-secret", "--rotate").stdout.strip()
    assert rotated != secret
    world.run("admin", "resend-webhooks", event_id)
    *_, last = server.wait_requests(3)
    assert verify_webhook(rotated, last.headers, last.body) == verify_webhook(secret, last.headers, last.body) == event
    with pytest.raises(WebhookVerificationError):
        verify_webhook("whsec_AAAA", last.headers, last.body)


def delivered_event(world: World, order_id: str) -> str:
    """The ID of an order's event when its answer is recorded: what is being posted is not posted again."""
    event_id = ""

    def recorded() -> bool:
        nonlocal event_id
        listed = world.run("admin", "webhooks", "--order", order_id, "--json").stdout
        (entry,) = map(json.loads, listed.splitlines())
        assert "token" not in listed
        event_id = entry["event"]["event_id"]
        return bool(entry["event"]["state"] == "WEBHOOK_STATE_DELIVERED")

    eventually(recorded, every=0.2)
    return event_id


def test_sources_over_http_of_which_one_fails(world: World, server: HttpsServer) -> None:
    def serve(request: HttpRequest, connection: ssl.SSLSocket) -> None:
        found = request.target.startswith("/cat.png")
        (answer(body=PHOTO.read_bytes()) if found else answer("404 Not Found"))(request, connection)

    server.handler = serve
    order = {
        "images": [
            {"source": {"url": server.url("/cat.png?token=secret")}},
            {"source": {"url": server.url("/missing.png")}},
            {"source": {"file": {"place": "photos", "key": "june/deep/cat.png"}}},
        ]
    }
    body = json.dumps(order).encode()
    request = urllib.request.Request(f"{world.stack.web}/v1/orders", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        order_id = json.load(response)["order"]["order_id"]
    with Client(world.stack.gateway_address) as client:
        for _ in client.watch(order_id):
            pass
        url, missing, file = client.images(order_id)
    assert [image.source for image in (url, missing, file)] == [
        server.url("/cat.png"),
        server.url("/missing.png"),
        "photos:june/deep/cat.png",
    ]
    assert url.output_sha256 == file.output_sha256
    assert missing.failure.message == "the server answered HTTP 404"
    shown = world.run("status", order_id, "--images")
    assert "HTTP 404" in shown.stdout


def test_the_python_client(world: World, server: HttpsServer) -> None:
    server.handler = answer(body=PHOTO.read_bytes())
    with Client(world.stack.gateway_address) as client:
        sent = client.order(
            PHOTO, sources=[server.url("/a.png"), "photos:june/cat.png"], listings=["photos:june/deep"], target="out"
        )
        for _ in client.watch(sent.order_id):
            pass
        images = list(client.images(sent.order_id))
    assert [image.filename for image in images] == ["chelsea.png", "a.png", "cat.png", "cat.png"]
    assert len({image.output_sha256 for image in images}) == 1
    assert {"chelsea.png", "a.png", "cat.png", "cat_2.png"} <= {path.name for path in world.out.iterdir()}
