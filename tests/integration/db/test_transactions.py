"""What transactions promise: which wait for the disk, and that a read is of one moment."""

import threading

import pytest
from sqlalchemy import text

from services.common.db.engine import Database, retry_unavailable
from services.common.db.orders import orders, snapshots
from services.common.domain.errors import Unavailable
from tests.integration.db.conftest import Place


@pytest.mark.parametrize("durable", [False, True])
def test_a_durable_commit_waits_for_the_disk_and_others_do_not(database: Database, durable: bool) -> None:
    # Each time on the same connection of the pool.
    for wanted in (durable, not durable, durable):
        with database.write(durable=wanted) as session:
            shown = session.scalar(text("PRAGMA synchronous" if database.is_sqlite else "SHOW synchronous_commit"))
        assert shown == ({True: 2, False: 1} if database.is_sqlite else {True: "on", False: "off"})[wanted]


def test_an_order_and_its_images_are_read_as_at_one_moment(database: Database, place: Place) -> None:
    order_id, *_ = place(2)

    def cancel() -> None:
        with database.write() as session:
            orders.cancel(session, order_id)

    with database.read() as session:
        before = snapshots.get_snapshot(session, order_id)
        thread = threading.Thread(target=cancel)
        thread.start()
        thread.join(10)
        assert snapshots.get_snapshot(session, order_id).order.state == before.order.state == "QUEUED"
    with database.read() as session:
        assert snapshots.get_snapshot(session, order_id).order.state == "CANCELLED"


def test_an_outcome_is_recorded_through_a_short_absence_of_the_database() -> None:
    answers = iter([Unavailable("away"), Unavailable("away"), None])

    def write() -> str:
        if error := next(answers):
            raise error
        return "recorded"

    assert retry_unavailable(write) == "recorded"
