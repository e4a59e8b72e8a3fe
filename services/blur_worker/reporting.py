"""Report attempts, with metrics and a span of the order's trace for each, and the ends of orders.

Every attempt has a log line. Those that went well are written at DEBUG: the line of their order has it too.
"""

from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.images.outcomes import Finished, LostClaim, Outcome, Retry
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import EndedOrder, Failure
from services.common.domain.orders import ImageQueue
from services.common.domain.spec import BlurSpec
from services.common.infra import log, tracing

_log = log.get(__name__)


def report_attempt(claim: ImageClaim, outcome: Outcome, seconds: float) -> None:
    """Report an attempt that took `seconds`, from the claim or the end of the image before."""
    if isinstance(outcome, Retry) and not outcome.begun:
        _log.debug("image", queue=claim.queue.value, image=str(claim.image_id), outcome="LEFT", cause=outcome.cause)
        return
    fields = _fields(outcome)
    _count(outcome, type(BlurSpec.from_json(claim.spec).effect).__name__.lower(), seconds)
    image, order = str(claim.image_id), str(claim.order_id)
    succeeded = isinstance(outcome, Finished)
    write = _log.debug if succeeded else _log.info
    write("image", queue=claim.queue.value, image=image, order=order, seconds=round(seconds, 4), **fields)
    tracing.record("blur_image", claim.order_id, seconds, ok=succeeded, attributes={**fields, "image": image})


def report_no_claim(image_id: object, queue: ImageQueue) -> None:
    """Report a message about an image that cannot be claimed: another worker has it, or it has ended."""
    _log.debug("image", queue=queue.value, image=str(image_id), outcome="NOTHING_TO_DO")


def report_order(order_id: UUID, ended: EndedOrder) -> None:
    """Report an order whose last image has ended."""
    counts = {"images": ended.images, "failed": ended.failed, "cancelled": ended.cancelled}
    _log.info("order finished", order=str(order_id), **{name: count for name, count in counts.items() if count})


def _fields(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case Finished(result):
            stages = {f"{stage}_seconds": round(seconds, 4) for stage, seconds in result.seconds.items()}
            fields = {"outcome": "SUCCEEDED", "path": result.path, "pixels": result.width * result.height, **stages}
            if result.inspection:
                fields |= {"findings": len(result.inspection.findings), "check": result.inspection.check.state.value}
            return fields
        case Failure():
            return {"outcome": "FAILED", "reason": outcome.reason.value}
        case Retry():
            return {"outcome": "RETRY", "cause": outcome.cause}
        case LostClaim():
            return {"outcome": "LOST", "cause": outcome.cause}


def _count(outcome: Outcome, effect: str, seconds: float) -> None:
    match outcome:
        case Finished(result):
            metrics.count_attempt("SUCCEEDED", effect, seconds, path=result.path)
            for stage, stage_seconds in result.seconds.items():
                metrics.observe_stage(stage, stage_seconds)
            if result.inspection:
                metrics.count_inspection(result.inspection)
        case Failure():
            metrics.count_attempt("FAILED", effect, seconds, reason=outcome.reason.value)
        case Retry():
            metrics.count_attempt("RETRY", effect, seconds)
        case LostClaim():
            metrics.count_attempt("LOST", effect, seconds)
