"""Find, hide and check over the whole stack: order by command line, client and form; status, summary, e-mail, page."""

import io
import json
import re
import urllib.request
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from imageblur_client import (
    BlurSpec,
    CheckState,
    Client,
    Find,
    FindingKind,
    Image,
    InputFile,
    find_faces,
    hidden_regions,
)
from imageblur_client.errors import InvalidArgumentError
from PIL import Image as Pictures

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.e2e.mail import attachment_of, text_of, wait_for_emails
from tests.e2e.test_metrics import value
from tests.e2e.test_scenario import imageblur
from tests.support.waiting import eventually

ASTRONAUT = PHOTOGRAPHS / "astronaut.png"


@pytest.fixture(scope="module")
def finder(stack: BackgroundStack) -> Iterator[Client]:
    """A client of a server that finds faces."""
    if find_spec("onnxruntime") is None:
        pytest.skip("no package that finds faces is installed")
    with Client(stack.gateway_address) as client:

        def finds() -> bool:
            return any(model.kind == FindingKind.FINDING_KIND_FACE for model in client.limits().find_models)

        eventually(finds)
        yield client


def ended(client: Client, order_id: str) -> list[Image]:
    for _ in client.watch(order_id):
        pass
    return list(client.images(order_id))


@pytest.mark.usefixtures("finder")
def test_a_face_is_found_hidden_checked_and_reported(stack: BackgroundStack) -> None:
    before = value("blur_worker", "imageblur_checks_total", state="CLEAN")
    command = ["order", "-e", "found@example.org", "--find", "faces", "--notify", "--watch", "--quiet", str(ASTRONAUT)]
    ordered = imageblur(stack, *command)
    assert ordered.returncode == 0, ordered.stderr
    order_id = ordered.stdout.strip()
    (listed,) = json.loads(imageblur(stack, "status", "--images", "--json", order_id).stdout)["images"]
    assert listed["check"]["state"] == "CHECK_STATE_CLEAN"
    finding, *_ = listed["findings"]  # the most confident; models may see faces where there are none, too
    assert (finding["kind"], finding["applied"]) == ("FINDING_KIND_FACE", True)
    box = finding["box"]
    assert 0.3 < box["left"] + box["width"] / 2 < 0.6
    assert 0.1 < box["top"] + box["height"] / 2 < 0.4
    (email,) = wait_for_emails(stack, "found@example.org")
    assert re.search(r"\d findings? (was|were) hidden in 1 image that was searched", text_of(email))
    archive = zipfile.ZipFile(io.BytesIO(attachment_of(email, "blur_images.zip")))
    (image,) = json.loads(archive.read("summary.json"))["images"]
    assert image["check"]["state"] == "CLEAN"
    assert image["irreversible"] is True
    with Pictures.open(ASTRONAUT) as original, Pictures.open(io.BytesIO(archive.read("blur_astronaut.png"))) as result:
        changed = np.any(np.asarray(original.convert("RGB")) != np.asarray(result.convert("RGB")), axis=2)
    assert 0.01 < changed.mean() < 0.2, "the face, and nothing but it"
    assert not changed[:, 400:].any()
    eventually(lambda: value("blur_worker", "imageblur_checks_total", state="CLEAN") > before)
    with urllib.request.urlopen(f"{stack.web}/orders/{order_id}", timeout=10) as page:
        assert re.search(r"\d findings? hidden", page.read().decode())


def test_findings_given_back_as_regions_give_the_same_bytes(finder: Client) -> None:
    found = finder.order("again@example.org", [ASTRONAUT], spec=BlurSpec(find=[find_faces()]))
    (image,) = ended(finder, found.order_id)
    spec = BlurSpec(regions=hidden_regions(image))
    (same,) = ended(finder, finder.order("again@example.org", [ASTRONAUT], spec=spec).order_id)
    assert same.output_sha256 == image.output_sha256
    assert not same.findings


def test_an_image_without_faces_and_one_of_another_spec_in_one_order(finder: Client, tmp_path: Path) -> None:
    files: list[Path | InputFile] = [
        InputFile(PHOTOGRAPHS / "rocket.jpg", spec=BlurSpec()),
        ASTRONAUT,
        PHOTOGRAPHS / "coffee.png",
    ]
    order = finder.order("mixed@example.org", files, spec=BlurSpec(find=[find_faces()]))
    blurred, found, empty = ended(finder, order.order_id)
    assert found.findings
    assert not blurred.findings
    assert not empty.findings
    assert blurred.check.state == CheckState.CHECK_STATE_NOT_CHECKED
    assert found.check.state == CheckState.CHECK_STATE_CLEAN
    finder.download(order.order_id, tmp_path, image_ids=[empty.image_id])
    with Pictures.open(PHOTOGRAPHS / "coffee.png") as original, Pictures.open(tmp_path / "blur_coffee.png") as result:
        same = np.array_equal(np.asarray(original.convert("RGB")), np.asarray(result.convert("RGB")))
    assert same, "it comes back as it was"


def test_what_nobody_can_find_is_refused_when_the_order_is_placed(finder: Client) -> None:
    spec = BlurSpec(find=[find_faces(), Find(kind=FindingKind.FINDING_KIND_CUSTOM, model="unicorns")])
    with pytest.raises(InvalidArgumentError) as caught:
        finder.order("refused@example.org", [ASTRONAUT], spec=spec)
    (violation,) = caught.value.violations
    assert violation.field == "order.spec.find[1].model"
    assert "unicorns" in violation.description
