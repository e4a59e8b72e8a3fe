"""Find with an operator's model in real child processes, over the worker's use case: from the claim to the row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pictures
from PIL import ImageDraw
from structlog.testing import capture_logs

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits, FindLimits
from services.blur_worker.engine.finding.registry import Detectors
from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.domain.findings import CheckState, FindModel, Inspection
from services.common.domain.orders import ImageQueue, original_key, result_key
from services.common.domain.spec import BlurSpec, Find, FindingKind, Region, Solid
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from tests.support.blur_workers import blur_worker
from tests.support.factories import PlacedOrder, new_images, place_order
from tests.support.images import encode, opened
from tests.unit.engine.finding.tiny_models import write_model

RED = FindModel(kind=FindingKind.CUSTOM, name="red", version="1.0", license="MIT", labels=("red square",))
FIND = BlurSpec(find=(Find(kind=FindingKind.CUSTOM, model="red"),), effect=Solid("#0000ff"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's folder."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "yolov8")
    return folder


@pytest.fixture(scope="module")
def finders(models: Path) -> Iterator[ChildPool]:
    """One child process that finds."""
    finding = FindLimits(seconds=60, memory_mb=4096, models_folder=models)
    children = ChildPool(1, ChildLimits(seconds=60, memory_mb=2048, max_pixels=1_000_000, finding=finding))
    children.start()
    yield children
    children.close()


@pytest.fixture
def worker(
    database: Database, blobs: BlobStore, queues: Broker, finders: ChildPool, tmp_path: Path
) -> Iterator[BlurImage]:
    (tmp_path / "scratch").mkdir()
    with blur_worker(database, blobs, queues, finders, tmp_path / "scratch", window=1) as worker:
        yield worker


def picture(*, square: bool = True) -> bytes:
    """Grey, with or without a red square at 16, 16."""
    image = Pictures.new("RGB", (64, 64), (90, 90, 90))
    if square:
        ImageDraw.Draw(image).rectangle((16, 16, 31, 31), (255, 0, 0))
    return encode(image, "PNG")


def place(database: Database, blobs: BlobStore, data: bytes, spec: BlurSpec) -> PlacedOrder:
    order = place_order(database, new_images("a.png", queue=ImageQueue.FIND), spec=spec.to_json())
    blobs.put(original_key(order.id, 1), data)
    return order


def row(database: Database, order: PlacedOrder) -> Image:
    with database.read() as session:
        return session.get_one(Image, order.image_ids[0])


def test_what_the_operators_model_finds_is_hidden_and_checked(
    worker: BlurImage, finders: ChildPool, database: Database, blobs: BlobStore
) -> None:
    assert RED in finders.get_models()
    order = place(database, blobs, picture(), FIND)
    worker(order.image_ids[0], ImageQueue.FIND)
    found = Inspection.from_json(row(database, order).findings or "")
    assert {(one.kind, one.label, one.model, one.applied) for one in found.findings} == {
        (FindingKind.CUSTOM, "red square", "red", True)
    }
    assert (found.check.state, row(database, order).check_state) == (CheckState.CLEAN, "CLEAN")
    result = opened(blobs.get(result_key(order.id, 1)))
    assert result.getpixel((24, 24)) == (0, 0, 255)
    assert result.getpixel((60, 60)) == (90, 90, 90)


def test_an_image_without_findings_and_one_whose_finding_is_excluded_stay_as_they_are(
    worker: BlurImage, database: Database, blobs: BlobStore
) -> None:
    left = BlurSpec(find=FIND.find, effect=FIND.effect, exclude_regions=(Region("box", 0, 0, 1, 1),))
    for data, spec, seen in ((picture(square=False), FIND, False), (picture(), left, True)):
        order = place(database, blobs, data, spec)
        worker(order.image_ids[0], ImageQueue.FIND)
        findings = Inspection.from_json(row(database, order).findings or "").findings
        assert [one.applied for one in findings] == [False] * len(findings)
        assert bool(findings) == seen
        result, original = opened(blobs.get(result_key(order.id, 1))), opened(data)
        assert result.convert("RGB").tobytes() == original.convert("RGB").tobytes()


def test_an_image_waits_while_its_model_is_missing_here(
    worker: BlurImage, database: Database, blobs: BlobStore
) -> None:
    unknown = BlurSpec(find=(Find(kind=FindingKind.CUSTOM, model="blue"),), effect=Solid())
    order = place(database, blobs, picture(), unknown)
    worker(order.image_ids[0], ImageQueue.FIND)
    waiting = row(database, order)
    assert (waiting.state, waiting.enqueued_at, waiting.findings) == ("QUEUED", None, None)
    assert waiting.attempts == 1, "no other worker has announced it"


def test_a_wrong_description_of_a_model_is_logged_and_the_worker_still_finds_what_others_find(tmp_path: Path) -> None:
    (tmp_path / "red.toml").write_text("name = 1")
    finding = FindLimits(seconds=60, memory_mb=4096, models_folder=tmp_path)
    children = ChildPool(1, ChildLimits(seconds=60, memory_mb=2048, max_pixels=1_000_000, finding=finding))
    with capture_logs() as lines:
        children.start()
    try:
        assert RED not in children.get_models()
        assert {model.kind for model in children.get_models()} == {model.kind for model in Detectors().models()}
        (line,) = [line for line in lines if line["event"].startswith("models are missing")]
        assert f"{tmp_path}/red.toml" in line["error"]
    finally:
        children.close()
