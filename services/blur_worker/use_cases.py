"""What the blur worker does: take an image, blur it, tell what became of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.blur_worker import files, metrics
from services.blur_worker.children import ChildCrashed, Children
from services.blur_worker.outcomes import Again, Done, Outcome, count, told
from services.blur_worker.scratch import Scratch
from services.blur_worker.turn import Turn
from services.common.db.engine import Database, retry_unavailable
from services.common.db.orders import images
from services.common.db.orders.blob_cleanup import surplus_keys
from services.common.db.orders.images import EndedClaim, Failure, ImageClaim, Success
from services.common.domain.errors import ImageError, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import result_key, source_key
from services.common.domain.spec import BlurSpec
from services.common.infra import log, tracing
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messages import BLUR_QUEUE
from services.common.infra.version import ENGINE
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle

_log = log.get(__name__)


@dataclass(frozen=True)
class BlurImage:
    """The use case, over what it needs."""

    database: Database
    blobs: BlobStore
    broker: Broker
    children: Children
    leases: Leases
    scratch: Scratch
    window: int
    """Images in the queue or at work at a time, shared by the orders."""
    changed: Callable[[UUID], None]
    """Told which order has changed, soon or at once."""

    @property
    def lifecycle(self) -> OrderLifecycle:
        """What is done after commits, and with results that come too late."""
        return make_lifecycle(self.database, self.blobs, self.broker, window=self.window, announce_changed=self.changed)

    def __call__(self, image_id: UUID) -> None:
        """Blur an image if it is still to be done, and its order's next ones while the turn lasts.

        Whatever happens is in their rows afterwards.
        """
        # Not durable: a claim that a power cut undoes is a claim that nobody works on.
        with self.database.write(durable=False) as session:
            claim = images.claim(session, image_id, lease_seconds=LEASE_SECONDS)
        if claim is None:
            _log.info("image", queue=BLUR_QUEUE, image=str(image_id), outcome="NOTHING_TO_DO")
            return
        # Later ones are announced with the end of the one before.
        running = partial(self.lifecycle.after_commit, FollowUp(changed_order_ids=[claim.order_id]))
        with Turn(self.leases) as turn:
            turn.hold(claim)
            following = self._see_through(claim, turn, running)
            while following:
                following = self._see_through(following, turn)

    def _see_through(
        self, claim: ImageClaim, turn: Turn, begun: Callable[[], None] = lambda: None
    ) -> ImageClaim | None:
        """Do all that is to be done for a claimed image; the one that comes next in the turn, claimed too."""
        begin = time.monotonic()
        outcome = self._work(claim, begun)
        with metrics.stage("record"):
            ended = retry_unavailable(partial(self._record, claim, outcome, turn))
        following = ended.next_claim if ended else None
        if following:
            turn.hold(following)
        if ended:
            self.lifecycle.after_commit(ended.follow_up)
        self._tidy(claim, ended)
        seconds, facts = time.monotonic() - begin, told(outcome)
        count(BlurSpec.from_json(claim.spec), outcome, seconds)
        ids = {"image": str(claim.image_id), "order": str(claim.order_id)}
        _log.info("image", queue=BLUR_QUEUE, **ids, seconds=round(seconds, 4), **facts)
        ok = isinstance(outcome, Done)
        tracing.record("blur_image", claim.order_id, seconds, ok=ok, attributes={**facts, "image": ids["image"]})
        return following

    def _work(self, claim: ImageClaim, begun: Callable[[], None]) -> Outcome:
        source, result = source_key(claim.order_id, claim.position), result_key(claim.order_id, claim.position)
        try:
            with files.lent(self.blobs, self.scratch, source, claim.owner) as (original, target):
                facts = self.children.blur(original, target, BlurSpec.from_json(claim.spec), begun)
                with metrics.stage("store"):
                    self.blobs.store_file(result, target)
                    self.blobs.persist(result)
        except ImageError as error:
            return Failure(error.reason, error.message)
        except (MissingBlob, FileNotFoundError) as error:
            # A store that is not mounted looks like this too: what is not there now may be there later.
            _log.warning("a file is missing", image=str(claim.image_id), error=str(error))
            return Again("a file is missing")
        except ChildCrashed as error:
            return Again(f"child crashed: {error}", crashed=True)
        except Unavailable as error:
            return Again(str(error), counted=False)
        except Exception:
            _log.exception("image not finished", image=str(claim.image_id))
            return Again("unexpected error")
        return Done(facts)

    def _record(self, claim: ImageClaim, outcome: Outcome, turn: Turn) -> EndedClaim | None:
        next_lease = LEASE_SECONDS if turn.goes_on else None
        with self.database.write() as session:
            match outcome:
                case Done(facts):
                    success = Success(
                        size=facts.size,
                        sha256=facts.sha256,
                        width=facts.width,
                        height=facts.height,
                        format=facts.format,
                        engine=ENGINE,
                    )
                    return images.finish(session, claim, success, window=self.window, next_lease=next_lease)
                case Failure():
                    return images.finish(session, claim, outcome, window=self.window, next_lease=next_lease)
                case Again():
                    return images.release(
                        session, claim, crashed=outcome.crashed, counted=outcome.counted, window=self.window
                    )

    def _tidy(self, claim: ImageClaim, ended: EndedClaim | None) -> None:
        try:
            if ended is None:
                # The claim was lost: the result is another worker's, or the image was cancelled, or its order is gone.
                self.lifecycle.discard_late_result(claim.order_id, claim.image_id)
            elif ended.image_state:
                self.blobs.delete(*surplus_keys(claim.order_id, claim.position, ended.image_state, ended.reason))
        except Unavailable as error:
            _log.warning("blobs not removed, the sweep will", error=str(error))


@dataclass(frozen=True)
class RenewLeases:
    """Extends leases in one statement."""

    database: Database

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write(durable=False) as session:
            images.renew_claims(session, owners, lease_seconds=LEASE_SECONDS)
