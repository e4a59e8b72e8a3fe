"""The product's scenario from one end to the other, over the command line and the Python client."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from imageblur_client import Client, FailedPreconditionError, InputFile
from PIL import Image, ImageChops, ImageFilter, ImageStat

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import attachment_of, emails_to, run_mailing, text_of, token_of, wait_for_emails
from tests.e2e.queues import paused_blurring


def imageblur(stack: BackgroundStack, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "imageblur", "--server", stack.gateway_address, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_order_status_mail_and_download(stack: BackgroundStack, tmp_path: Path) -> None:
    photograph = PHOTOGRAPHS / "rocket.jpg"
    ordered = imageblur(stack, "order", "--email", "tour@example.org", "--sigma", "9", "--watch", "--quiet", photograph)
    assert ordered.returncode == 0, ordered.stderr
    order_id = ordered.stdout.strip()
    status = imageblur(stack, "status", "--json", order_id)
    order = json.loads(status.stdout)["order"]
    assert (order["state"], order["counts"]["succeeded"]) == ("ORDER_STATE_SUCCEEDED", 1)
    assert imageblur(stack, "send", order_id).returncode == 0
    (email,) = wait_for_emails(stack, "tour@example.org")
    archive = zipfile.ZipFile(io.BytesIO(attachment_of(email, "blur_images.zip")))
    assert archive.namelist() == ["blur_rocket.jpg", "summary.json", "summary.txt"]
    assert imageblur(stack, "download", order_id, "-o", tmp_path).returncode == 0
    assert (tmp_path / "blur_rocket.jpg").read_bytes() == archive.read("blur_rocket.jpg")
    with Image.open(photograph) as before, Image.open(io.BytesIO(archive.read("blur_rocket.jpg"))) as after:
        expected = before.convert("RGB").filter(ImageFilter.GaussianBlur(9))
        difference = ImageStat.Stat(ImageChops.difference(expected, after.convert("RGB")))
    assert max(difference.mean) < 2


def test_a_file_that_is_no_image_fails_alone_and_the_email_says_so(stack: BackgroundStack, client: Client) -> None:
    files: list[Path | InputFile] = [
        PHOTOGRAPHS / "coffee.png",
        InputFile(b"dear diary, this is text", name="liar.jpg"),
        PHOTOGRAPHS / "rocket.jpg",
    ]
    order = client.order("mixed@example.org", files, notify=True)
    (*_, last) = client.watch(order.order_id)
    assert (last.order.counts.succeeded, last.order.counts.failed) == (2, 1)
    (failed,) = [image for image in client.images(order.order_id) if image.failure.message]
    assert (failed.position, failed.failure.reason) == (2, 1)
    (email,) = wait_for_emails(stack, "mixed@example.org")
    text = text_of(email)
    assert "2 of 3" in text
    assert "text file, not an image" in text
    assert "liar" not in text
    names = zipfile.ZipFile(io.BytesIO(attachment_of(email, "blur_images.zip"))).namelist()
    assert names == ["blur_coffee.png", "blur_rocket.jpg", "summary.json", "summary.txt"]


def test_mail_before_the_end_is_refused_with_the_progress(stack: BackgroundStack, client: Client) -> None:
    with paused_blurring(stack):
        order = client.order("early@example.org", [PHOTOGRAPHS / "rocket.jpg"] * 20)
        with pytest.raises(FailedPreconditionError, match="of 20 images"):
            client.send(order.order_id)
        client.delete(order.order_id)


def test_asking_for_the_mail_twice_sends_it_twice(stack: BackgroundStack, client: Client) -> None:
    order = client.order("twice@example.org", [PHOTOGRAPHS / "rocket.jpg"])
    for _ in client.watch(order.order_id):
        pass
    for count in (1, 2):
        client.send(order.order_id)
        for _ in client.watch(order.order_id):
            pass
        assert len(wait_for_emails(stack, "twice@example.org", count)) == count


def test_subscribe_confirm_weekly_unsubscribe(stack: BackgroundStack) -> None:
    assert imageblur(stack, "subscribe", "weekly@example.org").returncode == 0
    (confirmation,) = wait_for_emails(stack, "weekly@example.org")
    token = token_of(confirmation, "confirm")
    run_mailing(stack)
    assert imageblur(stack, "subscribe", "other@example.org").returncode == 0
    wait_for_emails(stack, "other@example.org")
    assert len(emails_to(stack, "weekly@example.org")) == 1, "the mailing went to an address that is not confirmed"
    assert imageblur(stack, "confirm", token).returncode == 0
    run_mailing(stack)
    _, weekly = wait_for_emails(stack, "weekly@example.org", 2)
    assert imageblur(stack, "unsubscribe", "--token", token_of(weekly, "unsubscribe")).returncode == 0
    run_mailing(stack)
    assert imageblur(stack, "subscribe", "third@example.org").returncode == 0
    wait_for_emails(stack, "third@example.org")
    assert len(emails_to(stack, "weekly@example.org")) == 2
