"""Models and findings for tests."""

from services.common.db.engine import Database
from services.common.db.queues import find_models
from services.common.domain.findings import Check, CheckState, Finding, FindModel, Inspection, Rect
from services.common.domain.spec import BlurSpec, Find, FindingKind, Gaussian, Region

FACES = FindModel(kind=FindingKind.FACE, name="finder", version="1", license="MIT")
PLATES = FindModel(kind=FindingKind.CUSTOM, name="plates", version="2", license="CC0-1.0", labels=("plate", "sign"))
FIND_FACES = BlurSpec(find=(Find(kind=FindingKind.FACE),), effect=BlurSpec.default_effect(whole_image=False))


def announce(database: Database, *models: FindModel) -> None:
    """As a worker that has these models."""
    with database.write() as session:
        find_models.announce(session, models)


def finding(*, applied: bool = True, confidence: float = 0.875) -> Finding:
    """Return a face in the middle, hidden more strongly than by the spec."""
    return Finding(
        kind=FindingKind.FACE,
        confidence=confidence,
        box=Rect(left=0.25, top=0.25, width=0.5, height=0.5),
        region=Region("ellipse", 0.125, 0.125, 0.75, 0.75, effect=Gaussian(12)),
        model="finder",
        model_version="1",
        applied=applied,
    )


def inspection(*findings: Finding, state: CheckState = CheckState.CLEAN) -> Inspection:
    """Return these findings, by default one, and their check; of REMAINING, the first finding remains."""
    findings = findings or (finding(),)
    remaining = findings[:1] if state is CheckState.REMAINING else ()
    return Inspection(findings=findings, check=Check(state=state, remaining=remaining))
