"""One image at once, and an order corrected: over the command line and all services as processes."""

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from imageblur_client import BlurSpec, Client, FailedPreconditionError, InvalidArgumentError, Solid
from PIL import Image

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import attachment_of, wait_for_emails
from tests.e2e.test_scenario import imageblur
from tests.support.files import files_below
from tests.support.waiting import eventually

PHOTOGRAPH = PHOTOGRAPHS / "rocket.jpg"


def blobs(stack: BackgroundStack, order_id: str) -> list[str]:
    """What the blob store has of an order."""
    folder = stack.data_folder.blobs / "orders" / order_id
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def color(data: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(data)) as opened:
        pixel = opened.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return pixel


def test_an_image_is_blurred_at_once_and_nothing_is_kept(stack: BackgroundStack, tmp_path: Path) -> None:
    before = files_below(stack.data_folder.blobs)
    out = tmp_path / "out.png"
    done = imageblur(stack, "blur", PHOTOGRAPH, "-o", out, "--solid", "00ff00", "--format", "png")
    assert done.returncode == 0, done.stderr
    assert color(out.read_bytes()) == (0, 255, 0)
    left = [path for path in files_below(stack.data_folder.blobs) if path not in before and path.name != "lock"]
    assert left == []
    refused = imageblur(stack, "blur", Path(__file__), "-o", tmp_path / "none.png")
    assert refused.returncode == 3
    assert Path(__file__).name in refused.stderr
    assert "not an image" in refused.stderr


def test_faces_are_found_and_drawn(stack: BackgroundStack, client: Client, tmp_path: Path) -> None:
    if not any(model.kind == 1 for model in client.limits().find_models):
        pytest.skip("this installation finds no faces")
    drawn = tmp_path / "drawn.png"
    found = imageblur(stack, "find", PHOTOGRAPHS / "astronaut.png", "--find", "faces", "--json", "--draw", drawn)
    assert found.returncode == 0, found.stderr
    findings = json.loads(found.stdout)["findings"]
    assert [finding["kind"] for finding in findings] == ["FINDING_KIND_FACE"]
    assert drawn.exists()


def test_an_order_is_corrected_and_its_originals_go(stack: BackgroundStack, client: Client) -> None:
    ordered = imageblur(
        stack, "order", "-e", "again@example.org", "--solid", "ff0000", "--keep-originals", "1h", "-wq", PHOTOGRAPH
    )
    assert ordered.returncode == 0, ordered.stderr
    order_id = ordered.stdout.strip()
    assert blobs(stack, order_id) == ["result/000001", "source/000001"]
    revised = imageblur(stack, "revise", order_id, "-i", "1", "--solid", "0000ff", "--format", "png", "-w")
    assert revised.returncode == 0, revised.stderr
    # The former result is removed after the announcement.
    eventually(lambda: blobs(stack, order_id) == ["result/000001-1", "source/000001"])
    assert imageblur(stack, "send", order_id).returncode == 0
    (email,) = wait_for_emails(stack, "again@example.org")
    archive = attachment_of(email, "blur_images.zip")
    assert archive
    done = imageblur(stack, "done", order_id)
    assert done.returncode == 0, done.stderr
    assert blobs(stack, order_id) == ["result/000001-1"]
    assert imageblur(stack, "revise", order_id).returncode == 3
    with pytest.raises(FailedPreconditionError, match="not kept"):
        client.revise_images(order_id, BlurSpec(solid=Solid()))


def test_the_python_client_does_it_too(client: Client, tmp_path: Path) -> None:
    spec = BlurSpec(solid=Solid(color="#ff0000"))
    answer = client.blur_image(PHOTOGRAPH, spec=spec)
    assert answer.media_type == "image/jpeg"
    with pytest.raises(InvalidArgumentError) as caught:
        client.blur_image(("text.txt", b"no image"))
    assert caught.value.reason == "NOT_AN_IMAGE"
    order = client.order("more@example.org", [PHOTOGRAPH], spec=spec, keep_originals_for=timedelta(minutes=5))
    list(client.watch(order.order_id))
    (image,) = client.images(order.order_id)
    client.revise_images(order.order_id, {image.image_id: BlurSpec(solid=Solid(color="#0000ff"))})
    list(client.watch(order.order_id))
    (path,) = client.download(order.order_id, tmp_path)
    red, _, blue = color(path.read_bytes())
    assert red < 20
    assert blue > 230
    assert not client.delete_originals(order.order_id).HasField("originals_expire_time")
