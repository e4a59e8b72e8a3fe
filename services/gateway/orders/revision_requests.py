"""ReviseImages: parses the request, and queues images of a finished order again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.orders import idempotency, orders, revisions, snapshots, windows
from services.common.db.orders.snapshots import Snapshot
from services.common.db.queues import backlog
from services.common.domain.errors import InvalidArgument, NotFound, Violation
from services.common.domain.follow_up import FollowUp
from services.common.domain.spec import BlurSpec
from services.gateway.orders.messages.blur_spec import parse_spec
from services.gateway.orders.placement.pending_order import OrderStorage, check_queue
from services.gateway.rpc.fields import Violations, parse_id, parse_request_id


@dataclass(frozen=True, kw_only=True)
class RevisionRequest:
    """A call of ReviseImages; specs as JSON."""

    order_id: UUID
    principal: str
    request_id: UUID | None
    specs: Mapping[UUID, str]
    """By image; empty: all images, with `spec`."""
    spec: str | None
    as_before: bool = False
    """All images, each with the spec that it had, instead of `specs` or `spec`."""

    @property
    def specs_by_field(self) -> dict[str, BlurSpec]:
        """The specs by their paths in the request."""
        by_image = {f"images[{index}].spec": spec for index, spec in enumerate(self.specs.values())}
        return {
            field: BlurSpec.from_json(spec)
            for field, spec in {"spec": self.spec, **by_image}.items()
            if spec is not None
        }

    @property
    def idempotency_key(self) -> idempotency.IdempotentRequest | None:
        """What makes a repeated call the same one; None without a request ID."""
        if self.request_id is None:
            return None
        content = [str(self.order_id), self.spec, sorted((str(key), spec) for key, spec in self.specs.items())]
        return idempotency.IdempotentRequest(
            principal=self.principal,
            method="ReviseImages",
            request_id=self.request_id,
            fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        )


def parse_revision(request: pb.ReviseImagesRequest, *, principal: str, max_images: int) -> RevisionRequest:
    """Return what a request asks for.

    Raises:
        InvalidArgument: With a violation for each invalid field.
    """
    if len(request.images) > max_images:
        raise InvalidArgument(Violation("images", f"are more than {max_images}"))
    violations = Violations()
    order_id = request_id = None
    spec: str | None = None
    specs: dict[UUID, str] = {}
    try:
        order_id = parse_id(request.order_id)
    except InvalidArgument as error:
        violations.extend(error.violations)
    try:
        request_id = parse_request_id(request.request_id)
    except InvalidArgument as error:
        violations.extend(error.violations)
    for index, image in enumerate(request.images):
        field = f"images[{index}]"
        with violations.collect(field):
            image_id = parse_id(image.image_id, "image_id")
            if image_id in specs:
                violations.add(f"{field}.image_id", "is listed twice")
            if not image.HasField("spec"):
                violations.add(f"{field}.spec", "is required")
            specs[image_id] = ""
            with violations.collect(f"{field}.spec"):
                specs[image_id] = parse_spec(image.spec).to_json()
    if request.images and request.HasField("spec"):
        violations.add("spec", "cannot be combined with images, each of which has its own")
    elif not request.images and not request.HasField("spec"):
        violations.add("spec", "is required unless images are listed")
    elif not request.images:
        with violations.collect("spec"):
            spec = parse_spec(request.spec).to_json()
    violations.raise_if_any()
    assert order_id
    return RevisionRequest(order_id=order_id, principal=principal, request_id=request_id, specs=specs, spec=spec)


@dataclass(frozen=True)
class ReviseImages:
    """Queues images again; blocking."""

    storage: OrderStorage

    def __call__(self, request: RevisionRequest, *, audited: AuditContext | None = None) -> Snapshot:
        """Queue the images and enqueue the first of them; return the order. Recorded in the audit log if `audited`.

        Raises:
            NotFound: The order does not exist, or has no such image.
            FailedPrecondition: The order has not finished, was cancelled, has expired, or keeps no originals.
            InvalidArgument: The request ID was used for a different request.
            ResourceExhausted: The queue is full.
            Unavailable: A dependency is unavailable, or a disk is almost full.
        """
        storage, key = self.storage, request.idempotency_key
        storage.disk_space.check()
        with storage.database.write() as session:
            order = orders.lock(session, request.order_id)
            if order is None:
                raise NotFound("order", str(request.order_id))
            if key and idempotency.insert_answer(session, key, order.id):
                return snapshots.get_snapshot(session, order.id)
            revisions.check_revisable(session, order)
            if audited:
                audit.record(session, audited, f"orders/{order.id}", images=len(request.specs) or order.total)
            if request.as_before:
                revisions.revise_as_before(session, order)
            elif request.spec is None:
                revisions.revise(session, order, request.specs)
            else:
                revisions.revise_all(session, order, request.spec)
            images = windows.refill_all(session, order.id, storage.settings.order_window)
            # Last, because it serializes transactions that add to the backlog.
            backlog.lock_backlog(session)
            check_queue(session, storage.settings, 0)
            snapshot = snapshots.get_snapshot(session, order.id)
        storage.after_commit(FollowUp(images=images, changed_order_ids=[request.order_id]))
        return snapshot
