"""One attempt at a claimed image: fetch the original, blur it in a child process, store the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.child.answers import UNUSABLE_DISK, ModelMissing
from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.head_start.prepared import PreparedImages
from services.blur_worker.images.outcomes import Finished, LostClaim, Outcome, Retry
from services.blur_worker.images.result_limit import ResultLimit
from services.blur_worker.images.targets import ImageClaimLost, Targets
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import Failure
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.orders import original_key, result_key
from services.common.domain.retries import MAX_SOURCE_ATTEMPTS
from services.common.domain.spec import BlurSpec, Format
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.places import NoSuchFile, PlaceUnavailable

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class AttemptImage:
    """Attempts images; every error becomes an outcome."""

    blobs: BlobStore
    children: ChildPool
    scratch: ScratchFolder
    targets: Targets
    result_limit: ResultLimit
    prepared: PreparedImages | None = None
    """Results of images that had a head start."""

    def __call__(self, claim: ImageClaim, on_start: Callable[[], None] = lambda: None) -> Outcome:
        """Attempt an image; `on_start` is called once a child process has started on it.

        The result does not survive a power cut before `persist`.
        """
        original, name = original_key(claim.order_id, claim.position), f"{claim.owner}-{claim.position}"
        try:
            with self.scratch.working_files(self.blobs, original, name) as (original_file, result_file):
                blurred = self.prepared and self.prepared.take(original, claim.spec, result_file)
                if not blurred:
                    blurred = self.children.blur(original_file, result_file, BlurSpec.from_json(claim.spec), on_start)
                self.result_limit.check(claim, blurred.size)
                if claim.target:
                    self.targets.write(claim, Format(blurred.format), result_file)
                with metrics.stage("store"):
                    self.blobs.store_file(_result_of(claim), result_file)
        except Exception as error:
            return _outcome_of(error, claim)
        return Finished(blurred)

    def count_ready(self, order_id: UUID) -> int:
        """Return how many images of an order need no child process any more."""
        return self.prepared.count_ready(order_id) if self.prepared else 0

    def persist(self, attempts: Sequence[tuple[ImageClaim, Outcome]]) -> list[Outcome]:
        """Make the results of attempts survive a power cut; return what has become of each attempt."""
        finished = [_result_of(claim) for claim, outcome in attempts if isinstance(outcome, Finished)]
        try:
            if finished:
                with metrics.stage("sync"):
                    self.blobs.persist(*finished)
        except MissingBlob as error:
            if len(attempts) == 1:
                return [_outcome_of(error, attempts[0][0])]
            return [outcome for attempt in attempts for outcome in self.persist([attempt])]
        except Exception as error:
            # Not once more: a disk reports an error once, and then takes what it has lost for written.
            return [
                _outcome_of(error, claim) if isinstance(outcome, Finished) else outcome for claim, outcome in attempts
            ]
        return [outcome for _, outcome in attempts]


def _result_of(claim: ImageClaim) -> str:
    return result_key(claim.order_id, claim.position, claim.generation)


def _outcome_of(error: Exception, claim: ImageClaim) -> Outcome:
    match error:
        case ImageError():
            return Failure(error.reason, error.message)
        case MissingBlob() | FileNotFoundError():
            # A store that is not mounted looks the same, so the file may be there later.
            _log.warning("a file is missing", image=str(claim.image_id), error=str(error))
            return Retry(cause="a file is missing")
        case PlaceUnavailable() | NoSuchFile():
            if claim.attempts >= MAX_SOURCE_ATTEMPTS:
                return Failure(Reason.TARGET_UNAVAILABLE, str(error))
            return Retry(cause=f"target: {error}")
        case ImageClaimLost():
            return LostClaim(str(error))
        case ChildCrashed():
            return Retry(cause=f"child crashed: {error}", crashed=True)
        case ModelMissing():
            return Retry(cause=f"model missing: {error}", model_missing=True)
        case Unavailable():
            return Retry(cause=str(error), counted=False)
        case OSError() if error.errno in UNUSABLE_DISK:
            return Retry(cause=f"the disk cannot be written: {error.strerror}", counted=False)
    _log.error("image not finished", image=str(claim.image_id), exc_info=error)
    return Retry(cause="unexpected error")
