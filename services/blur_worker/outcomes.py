"""What becomes of an attempt at an image, as it is counted and told."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.blur_worker import metrics
from services.blur_worker.child import Facts
from services.common.db.orders.images import Failure
from services.common.domain.spec import BlurSpec


@dataclass(frozen=True)
class Done:
    """Blurred and stored."""

    facts: Facts


@dataclass(frozen=True)
class Again:
    """Not the image's fault, or perhaps not: to be tried again."""

    why: str
    crashed: bool = False
    counted: bool = True


Outcome = Done | Failure | Again


def count(spec: BlurSpec, outcome: Outcome, seconds: float) -> None:
    """Count an attempt that took so many seconds."""
    effect = type(spec.effect).__name__.lower()
    match outcome:
        case Done(facts):
            metrics.image_done("SUCCEEDED", effect, facts.path, seconds)
            for stage, took in facts.seconds.items():
                metrics.stage_done(stage, took)
        case Failure():
            metrics.image_done("FAILED", effect, "", seconds, outcome.reason.value)
        case Again():
            metrics.image_done("AGAIN", effect, "", seconds)


def told(outcome: Outcome) -> Mapping[str, object]:
    """What the log and a trace say of it."""
    match outcome:
        case Done(facts):
            stages = {f"{stage}_seconds": round(seconds, 4) for stage, seconds in facts.seconds.items()}
            return {"outcome": "SUCCEEDED", "path": facts.path, "pixels": facts.width * facts.height, **stages}
        case Failure():
            return {"outcome": "FAILED", "reason": outcome.reason.value}
        case Again():
            return {"outcome": "AGAIN", "why": outcome.why}
