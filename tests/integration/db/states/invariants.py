"""What is true of the rows of orders at every moment, and of every step from one moment to the next."""

from collections import Counter
from uuid import UUID

from services.common.domain.retries import MAX_ATTEMPTS, MAX_CRASHES
from tests.integration.db.states.rows import Row, Rows, Table

Arrows = dict[str, set[str]]

ORDER: Arrows = {
    "QUEUED": {"RUNNING", "CANCELLED"},
    "RUNNING": {"SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "CANCELLED"},
    **{ended: {"EXPIRED"} for ended in ("SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "CANCELLED")},
    "EXPIRED": set(),
}
IMAGE: Arrows = {
    "QUEUED": {"RUNNING", "CANCELLED"},
    "RUNNING": {"QUEUED", "SUCCEEDED", "FAILED", "CANCELLED"},
    **{ended: set() for ended in ("SUCCEEDED", "FAILED", "CANCELLED")},
}
DELIVERY: Arrows = {
    "WAITING": {"QUEUED", "CANCELLED"},
    "QUEUED": {"SENDING", "CANCELLED"},
    "SENDING": {"SENT", "FAILED", "CANCELLED"},
    **{ended: set() for ended in ("SENT", "FAILED", "CANCELLED")},
}
EMAIL: Arrows = {
    "QUEUED": {"SENDING", "CANCELLED"},
    "SENDING": {"QUEUED", "SENT", "FAILED", "CANCELLED"},
    **{ended: set() for ended in ("SENT", "FAILED", "CANCELLED")},
}
SUBSCRIBER: Arrows = {
    "PENDING": {"CONFIRMED", "UNSUBSCRIBED", "SUPPRESSED"},
    "CONFIRMED": {"UNSUBSCRIBED", "SUPPRESSED"},
    "UNSUBSCRIBED": {"PENDING", "CONFIRMED", "SUPPRESSED"},
    "SUPPRESSED": {"UNSUBSCRIBED"},
}
_UNSEEN = {"owner", "lease_until", "enqueued_at", "not_before", "crashes", "revision"}
"""Columns of which no client is told."""


def open_in(arrows: Arrows, row: Row) -> bool:
    """Whether a row may still go on, expiry aside."""
    return bool(arrows[row.state] - {"EXPIRED"})


def in_flight(image: Row) -> bool:
    """Whether an image is given to the broker or being worked on."""
    return bool(image.state == "RUNNING" or (image.state == "QUEUED" and image.enqueued_at is not None))


def starved(images: list[Row], *, now: int = 0) -> bool:
    """Whether an image could go on at `now` (0: one that was never put back), but none of its order and queue does."""
    waiting = {i.queue for i in images if i.state == "QUEUED" and i.enqueued_at is None and i.not_before <= now}
    return bool(waiting - {image.queue for image in images if in_flight(image)})


def check_moment(rows: Rows, *, window: int) -> None:
    """Hold the rows against each other."""
    for order in rows.orders.values():
        images = rows.images_of(order.id)
        _check_order(order, images)
        flying = Counter(image.queue for image in images if in_flight(image))
        assert all(count <= window for count in flying.values()), "more than a window in flight"
        assert not starved(images), "images wait, but none is in flight"
        _check_deliveries(rows, order)
    for image in rows.images.values():
        assert image.order_id in rows.orders
        assert (image.owner is not None) == (image.lease_until is not None) == (image.state == "RUNNING")
        assert image.attempts <= MAX_ATTEMPTS
        assert image.crashes <= MAX_CRASHES
        assert (image.reason is not None) == (image.state == "FAILED")
        assert (image.finished_at is not None) == (not open_in(IMAGE, image))
    for email in rows.emails.values():
        assert (email.owner is not None) == (email.lease_until is not None) == (email.state == "SENDING")
        assert email.delivery_id in rows.deliveries or email.kind != "ORDER_READY"


def check_step(before: Rows, after: Rows) -> None:
    """Hold what has changed against what may change."""
    _check_arrows(ORDER, before.orders, after.orders)
    _check_arrows(IMAGE, before.images, after.images)
    _check_arrows(DELIVERY, before.deliveries, after.deliveries)
    _check_arrows(EMAIL, before.emails, after.emails)
    _check_arrows(SUBSCRIBER, before.subscribers, after.subscribers)
    for order_id in before.orders.keys() & after.orders.keys():
        _check_revision(before, after, order_id)


def _check_order(order: Row, images: list[Row]) -> None:
    states = Counter(image.state for image in images)
    assert len(images) == order.total
    counted = {"SUCCEEDED": order.succeeded, "FAILED": order.failed, "CANCELLED": order.cancelled}
    assert counted == {state: states[state] for state in counted}, "counters differ from what they count"
    still_open = states["QUEUED"] + states["RUNNING"] > 0
    assert open_in(ORDER, order) == still_open, "an order ends with its last image"
    assert (order.finished_at is None) == still_open
    assert (order.email is None) == (order.state == "EXPIRED")
    if still_open or order.state == "EXPIRED":
        return
    alone = {"SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED"}
    mixed = "CANCELLED" if states["CANCELLED"] else "PARTIALLY_FAILED"
    assert order.state == (alone.get(next(iter(states)), mixed) if len(states) == 1 else mixed)


def _check_deliveries(rows: Rows, order: Row) -> None:
    deliveries = rows.deliveries_of(order.id)
    assert sum(open_in(DELIVERY, delivery) for delivery in deliveries) <= 1, "two deliveries are open"
    for delivery in deliveries:
        emails = rows.emails_of(delivery.id)
        assert len({email.part for email in emails}) == len(emails)
        if delivery.state == "WAITING":
            assert open_in(ORDER, order), "a delivery waits for an order that has ended"
            assert not emails
        else:
            emails_open = any(open_in(EMAIL, email) for email in emails)
            assert open_in(DELIVERY, delivery) == emails_open, "a delivery ends with its last e-mail"
        assert (delivery.finished_at is None) == open_in(DELIVERY, delivery)
        if delivery.state in {"SENT", "FAILED"}:
            assert (delivery.state == "FAILED") == any(email.state == "FAILED" for email in emails)


def _check_arrows(arrows: Arrows, before: Table, after: Table) -> None:
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        assert new.state == old.state or new.state in arrows[old.state], f"{old.state} became {new.state}"
        if not arrows[old.state]:
            assert _seen(new) == _seen(old), "what has ended has changed"


def _check_revision(before: Rows, after: Rows, order_id: UUID) -> None:
    old, new = before.orders[order_id], after.orders[order_id]
    assert new.revision >= old.revision
    seen = [_seen(old) != _seen(new)]
    seen.append(before.deliveries_of(order_id) != after.deliveries_of(order_id))
    for image in after.images_of(order_id):
        changed = _seen(before.images[image.id]) != _seen(image)
        seen.append(changed)
        assert not changed or old.revision < image.revision <= new.revision, "a watcher misses a change of an image"
    assert not any(seen) or new.revision > old.revision, "a watcher misses a change"


def _seen(row: Row) -> dict[str, object]:
    return {column: value for column, value in row._mapping.items() if column not in _UNSEEN}
