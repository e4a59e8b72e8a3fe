"""The use case of the queues of images: claim one, attempt it, record the outcome, go on with the order's next ones."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.images.attempt import AttemptImage
from services.blur_worker.images.outcomes import Finished, LostClaim, Outcome, Retry
from services.blur_worker.images.time_slice import TimeSlice
from services.blur_worker.reporting import report_attempt, report_no_claim, report_order
from services.common.db.engine import Database, retry_unavailable
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import EndedClaim, Failure, Success
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

_TIMES_LARGER = 4
"""An image that is so much larger than the first of its claim is left to another one: results would wait for it."""

_log = log.get(__name__)


@dataclass(frozen=True)
class _Attempted:
    """An image after its attempt."""

    claim: ImageClaim
    outcome: Outcome
    seconds: float


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
            claim = image_claims.claim(session, image_id, lease_seconds=LEASE_SECONDS, queue=queue)
        if claim is None:
            report_no_claim(image_id, queue)
            return
        with TimeSlice(self.leases) as time_slice:
            time_slice.hold(claim)
            # The start of later images is announced together with the end of the ones before.
            on_start = partial(self.lifecycle.after_commit, FollowUp(changed_order_ids=[claim.order_id]))
            next_claims = self._blur([claim], time_slice, on_start)
            while next_claims:
                next_claims = self._blur(next_claims, time_slice)

    def _blur(
        self, claims: Sequence[ImageClaim], time_slice: TimeSlice, on_start: Callable[[], None] = lambda: None
    ) -> Sequence[ImageClaim]:
        """Attempt claimed images of an order, record the outcomes together; return the next ones that were claimed."""
        began, small = time.monotonic(), _TIMES_LARGER * claims[0].input_bytes
        attempts = [
            self._attempt(claim, on_start, leave=number > 0 and (time_slice.overdue or claim.input_bytes > small))
            for number, claim in enumerate(claims)
        ]
        outcomes = self.attempt.persist([(each.claim, each.outcome) for each in attempts])
        attempts = [replace(each, outcome=outcome) for each, outcome in zip(attempts, outcomes, strict=True)]
        ready = self.attempt.count_ready(claims[0].order_id)
        most_next = time_slice.count_next((time.monotonic() - began) / len(claims), ready)
        if any(each.claim.target and not isinstance(each.outcome, Finished) for each in attempts):
            most_next = 0  # what is at the target has to be looked at, which may take long
        with metrics.stage("record"):
            ended = self._record(attempts, most_next)
        next_claims = [claim for each in ended if each for claim in each.next_claims]
        if next_claims:
            time_slice.hold(next_claims[0])
        for each in ended:
            if each and each.follow_up != FollowUp():
                self.lifecycle.after_commit(each.follow_up)
        self._remove_surplus_blobs(claims, ended)
        for done, end in zip(attempts, ended, strict=True):
            if done.claim.target and _target_is_doubtful(done.claim, done.outcome, end):
                self.attempt.targets.restore(done.claim)
            report_attempt(done.claim, done.outcome, done.seconds)
            if end and end.ended_order:
                report_order(done.claim.order_id, end.ended_order)
        return next_claims

    def _attempt(self, claim: ImageClaim, on_start: Callable[[], None], *, leave: bool) -> _Attempted:
        began = time.monotonic()
        if leave:
            outcome: Outcome = Retry(cause="left to other workers", counted=False, begun=False)
        else:
            outcome = self.attempt(claim, on_start)
        return _Attempted(claim, outcome, time.monotonic() - began)

    def _record(self, attempts: Sequence[_Attempted], most_next: int) -> list[EndedClaim | None]:
        """End the claims in the images' rows; return None for each that was lost meanwhile."""
        outcomes = [(each.claim, _final(each.outcome)) for each in attempts]
        finished = [(claim, outcome) for claim, outcome in outcomes if outcome]
        ended: dict[UUID, EndedClaim | None] = {}
        for each in attempts:
            if isinstance(each.outcome, Retry):
                ended[each.claim.image_id] = retry_unavailable(partial(self._release, each.claim, each.outcome))
        if finished:  # last, since it claims the next ones
            each_ended = retry_unavailable(partial(self._finish, finished, most_next))
            ended |= {claim.image_id: end for (claim, _), end in zip(finished, each_ended, strict=True)}
        return [ended.get(each.claim.image_id) for each in attempts]

    def _finish(
        self, finished: Sequence[tuple[ImageClaim, Success | Failure]], most_next: int
    ) -> list[EndedClaim | None]:
        next_lease = LEASE_SECONDS if most_next else None
        with self.database.write() as session:
            return image_outcomes.finish_all(
                session, finished, window=self.window, next_lease=next_lease, most_next=most_next
            )

    def _release(self, claim: ImageClaim, outcome: Retry) -> EndedClaim | None:
        with self.database.write() as session:
            spec = BlurSpec.from_json(claim.spec)
            elsewhere = outcome.model_missing and find_models.may_wait(session, claim.order_id, spec.find)
            return image_outcomes.release(
                session,
                claim,
                crashed=outcome.crashed,
                counted=outcome.counted and not elsewhere,
                begun=outcome.begun,
                window=self.window,
            )

    def _remove_surplus_blobs(self, claims: Sequence[ImageClaim], ended: Sequence[EndedClaim | None]) -> None:
        try:
            for claim, each in zip(claims, ended, strict=True):
                if each is None:
                    # The claim was lost: another worker has it, the image was cancelled, or its order deleted.
                    self.lifecycle.discard_late_result(claim.order_id, claim.image_id)
            self.blobs.delete(*(key for each in ended if each for key in each.surplus_keys))
        except Unavailable as error:
            _log.warning("blobs not removed, the sweep will", error=str(error))


def _final(outcome: Outcome) -> Success | Failure | None:
    match outcome:
        case Finished(result):
            return Success(
                size=result.size,
                sha256=result.sha256,
                crc32=result.crc32,
                width=result.width,
                height=result.height,
                format=result.format,
                engine=ENGINE,
                inspection=result.inspection,
            )
        case Failure():
            return outcome
    return None


def _target_is_doubtful(claim: ImageClaim, outcome: Outcome, ended: EndedClaim | None) -> bool:
    """Return whether the attempt may have replaced a result that counts: it was late, or its revision has failed."""
    if ended is None:
        return not isinstance(outcome, LostClaim)
    return (
        claim.previous_state is ImageState.SUCCEEDED
        and ended.image_state is not None
        and not isinstance(outcome, Finished)
    )
