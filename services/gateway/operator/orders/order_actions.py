"""Actions of operators on orders: on some by id, or on all that match a filter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.orders import order_search, order_selection
from services.common.db.orders.order_selection import OrderAction
from services.common.domain.errors import FailedPrecondition, NotFound, ResourceExhausted
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.gateway.operator.orders.order_filters import OrderSelection
from services.gateway.orders.delivery_requests import DeliveryRequest, RequestDelivery
from services.gateway.orders.revision_requests import ReviseImages, RevisionRequest

BATCH = 200
"""Orders changed by one call: a few seconds."""
MAX_SKIPPED = 100

Place = tuple[int, UUID]
"""Position of an order in a list: its creation time and id."""


@dataclass(kw_only=True)
class OrdersOutcome:
    """What an action did, or would do."""

    matched: int
    """Selected orders that it can change."""
    changed: int = 0
    skipped: list[tuple[UUID, str]] = field(default_factory=list)
    """Orders that were not changed, with the reason."""
    next_place: Place | None = None
    """The last order that was looked at, if more are left."""


@dataclass(frozen=True, kw_only=True)
class OrderActions:
    """The use cases; blocking. Each order is changed by a transaction of its own, with an audit entry."""

    database: Database
    lifecycle: OrderLifecycle
    request_delivery: RequestDelivery
    revise_images: ReviseImages

    def act(
        self,
        action: OrderAction,
        selection: OrderSelection,
        apply: Callable[[UUID], object],
        *,
        after: Place | None,
        validate_only: bool,
    ) -> OrdersOutcome:
        """Apply an action to the next selected orders that it can change; with `validate_only`, only count them.

        Raises:
            Unavailable: A dependency cannot be reached; orders before are changed.
            InvalidArgument: The search takes too long.
        """
        outcome, order_ids = self._select(action, selection, after)
        if validate_only:
            outcome.next_place = None
            return outcome
        for order_id in order_ids:
            try:
                apply(order_id)
            except (NotFound, FailedPrecondition, ResourceExhausted) as error:
                outcome.skipped.append((order_id, str(error)))
            else:
                outcome.changed += 1
        del outcome.skipped[MAX_SKIPPED:]
        return outcome

    def cancel(self, audited: AuditContext) -> Callable[[UUID], object]:
        """Return what cancels an order."""
        return lambda order_id: self.lifecycle.cancel(order_id, audited=audited)

    def delete(self, audited: AuditContext) -> Callable[[UUID], object]:
        """Return what deletes an order."""
        return lambda order_id: self.lifecycle.delete(order_id, audited=audited)

    def extend(self, audited: AuditContext, seconds: int) -> Callable[[UUID], object]:
        """Return what lets an order expire later."""
        return lambda order_id: self.lifecycle.extend(order_id, seconds, audited=audited)

    def send(self, audited: AuditContext) -> Callable[[UUID], object]:
        """Return what e-mails the results of an order."""

        def send(order_id: UUID) -> None:
            request = DeliveryRequest(order_id=order_id, principal=audited.principal, request_id=None, when_ready=False)
            self.request_delivery(request, audited=audited)

        return send

    def revise(self, audited: AuditContext, spec: str | None) -> Callable[[UUID], object]:
        """Return what blurs the images of an order again: with a spec as JSON, or each as before if it is None."""

        def revise(order_id: UUID) -> None:
            request = RevisionRequest(
                order_id=order_id,
                principal=audited.principal,
                request_id=None,
                specs={},
                spec=spec,
                as_before=spec is None,
            )
            self.revise_images(request, audited=audited)

        return revise

    def _select(
        self, action: OrderAction, selection: OrderSelection, after: Place | None
    ) -> tuple[OrdersOutcome, Sequence[UUID]]:
        with self.database.read() as session:
            if selection.order_ids is not None:
                done = 0 if after is None else after[0]
                eligible = order_selection.list_eligible(session, action, selection.order_ids)
                others = [order_id for order_id in selection.order_ids if order_id not in set(eligible)]
                explained = order_selection.explain_ineligible(session, action, others[:MAX_SKIPPED])
                # Those of former calls may have become ineligible by them.
                batch = selection.order_ids[done : done + BATCH]
                outcome = OrdersOutcome(matched=len(eligible))
                outcome.skipped = [(order_id, why) for order_id, why in explained.items() if order_id in set(batch)]
                if done + BATCH < len(selection.order_ids):
                    outcome.next_place = (done + BATCH, batch[-1])
                return outcome, [order_id for order_id in batch if order_id in set(eligible)]
            which, condition = selection.filter, order_selection.eligible(action)
            matched = order_search.count(session, which, condition, before=after)
            found = order_search.list_ids(session, which, condition, before=after, limit=BATCH + 1)
            batch_rows = found[:BATCH]
            outcome = OrdersOutcome(matched=matched)
            if len(found) > BATCH:
                outcome.next_place = (batch_rows[-1].created_at, batch_rows[-1].id)
            return outcome, [row.id for row in batch_rows]
