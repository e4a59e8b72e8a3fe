"""The use case of the queues of images: claim one, attempt it, record the outcome, go on with the order's next one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.attempt import AttemptImage
from services.blur_worker.outcomes import Finished, Lost, Outcome, Retry
from services.blur_worker.reporting import report_attempt, report_no_claim, report_order
from services.blur_worker.time_slice import TimeSlice
from services.common.db.engine import Database, retry_unavailable
from services.common.db.orders import images
from services.common.db.orders.images import EndedClaim, Failure, ImageClaim, Success
from services.common.db.queues import find_models
from services.common.domain.errors import Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue, ImageState
from services.common.domain.spec import BlurSpec
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.version import ENGINE
from services.common.use_cases.order_lifecycle import OrderLifecycle

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class BlurImage:
    """Blurs the images that messages name."""

    database: Database
    blobs: BlobStore
    attempt: AttemptImage
    leases: Leases
    lifecycle: OrderLifecycle
    window: int
    """Images queued or running at a time, shared by the orders."""

    def __call__(self, image_id: UUID, queue: ImageQueue = ImageQueue.BLUR) -> None:
        """Blur an image of a queue if it can be claimed, then its order's next ones until the time slice ends.

        Every outcome is in the image's row afterwards.
        """
        # Not durable: if a power cut undoes the claim, no worker is left that works on it.
        with self.database.write(durable=False) as session:
            claim = images.claim(session, image_id, lease_seconds=LEASE_SECONDS, queue=queue)
        if claim is None:
            report_no_claim(image_id, queue)
            return
        # The start of later images is announced together with the end of the one before.
        on_start = partial(self.lifecycle.after_commit, FollowUp(changed_order_ids=[claim.order_id]))
        with TimeSlice(self.leases) as time_slice:
            time_slice.hold(claim)
            next_claim = self._blur(claim, time_slice, on_start)
            while next_claim:
                next_claim = self._blur(next_claim, time_slice)

    def _blur(
        self, claim: ImageClaim, time_slice: TimeSlice, on_start: Callable[[], None] = lambda: None
    ) -> ImageClaim | None:
        """Attempt a claimed image and record the outcome; return the order's next image if it was claimed."""
        start = time.monotonic()
        outcome = self.attempt(claim, on_start)
        with metrics.stage("record"):
            ended = retry_unavailable(partial(self._record, claim, outcome, time_slice))
        next_claim = ended.next_claim if ended else None
        if next_claim:
            time_slice.hold(next_claim)
        if ended:
            self.lifecycle.after_commit(ended.follow_up)
        self._remove_surplus_blobs(claim, ended)
        if claim.target and _target_is_doubtful(claim, outcome, ended):
            self.attempt.targets.restore(claim)
        report_attempt(claim, outcome, time.monotonic() - start)
        if ended and ended.ended_order:
            report_order(claim.order_id, ended.ended_order)
        return next_claim

    def _record(self, claim: ImageClaim, outcome: Outcome, time_slice: TimeSlice) -> EndedClaim | None:
        """End the claim in the image's row; return None if the claim was lost meanwhile."""
        next_lease = LEASE_SECONDS if time_slice.may_claim_next else None
        with self.database.write() as session:
            match outcome:
                case Finished(result):
                    success = Success(
                        size=result.size,
                        sha256=result.sha256,
                        crc32=result.crc32,
                        width=result.width,
                        height=result.height,
                        format=result.format,
                        engine=ENGINE,
                        inspection=result.inspection,
                    )
                    return images.finish(session, claim, success, window=self.window, next_lease=next_lease)
                case Failure():
                    return images.finish(session, claim, outcome, window=self.window, next_lease=next_lease)
                case Retry():
                    spec = BlurSpec.from_json(claim.spec)
                    elsewhere = outcome.model_missing and find_models.may_wait(session, claim.order_id, spec.find)
                    counted = outcome.counted and not elsewhere
                    return images.release(session, claim, crashed=outcome.crashed, counted=counted, window=self.window)
                case Lost():
                    return None

    def _remove_surplus_blobs(self, claim: ImageClaim, ended: EndedClaim | None) -> None:
        try:
            if ended is None:
                # The claim was lost: another worker has it, the image was cancelled, or its order deleted.
                self.lifecycle.discard_late_result(claim.order_id, claim.image_id)
            elif ended.image_state:
                self.blobs.delete(*ended.surplus_keys)
        except Unavailable as error:
            _log.warning("blobs not removed, the sweep will", error=str(error))


def _target_is_doubtful(claim: ImageClaim, outcome: Outcome, ended: EndedClaim | None) -> bool:
    """Return whether the attempt may have replaced a result that counts: it was late, or its revision has failed."""
    if ended is None:
        return not isinstance(outcome, Lost)
    return claim.former is ImageState.SUCCEEDED and ended.image_state is not None and not isinstance(outcome, Finished)
