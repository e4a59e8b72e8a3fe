"""The limits of what is fetched: sizes of orders, time, disk."""

import ssl
import threading
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import update

from services.blur_worker.child.scratch_folder import ScratchFolder
from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.db.orders import image_claims, image_outcomes
from services.common.domain.orders import ImageQueue, original_key
from services.common.domain.sources import ImageSource
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.disk_space import DiskSpace
from services.common.infra.outbound.host_shares import HostShares
from tests.integration.worker.fetching.conftest import LIMITS, PHOTO, MakeFetch, place, row
from tests.support.https import Handler, HttpRequest, HttpsServer, answer

MANY = 600


def test_the_images_of_an_order_are_limited_together(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, blobs: BlobStore
) -> None:
    server.handler = answer(body=b"x" * 90_000)
    order = place(database, ImageSource(url=server.url()), ImageSource(url=server.url()))
    for image_id in order.image_ids:
        make_fetch()(image_id)
    first, second = (row(database, image_id) for image_id in order.image_ids)
    assert (first.state, second.reason) == ("QUEUED", "TOO_LARGE")
    assert "larger than 150000 bytes together" in (second.message or "")
    with pytest.raises(MissingBlob):
        blobs.get(original_key(order.id, 2))


def test_the_size_of_an_order_is_not_added_up_for_each_of_its_sources(database: Database) -> None:
    """A source of an order of many costs what one of few costs, and the limit holds all the same."""

    def fetch(image_id: UUID, limit: int) -> int:
        """Return how long it took, in tens of steps of SQLite's machine."""
        steps = []
        with database.write() as session:
            claimed = image_claims.claim(session, image_id, lease_seconds=60, queue=ImageQueue.FETCH)
            connection = session.connection().connection.driver_connection
            assert claimed
            assert connection
            connection.set_progress_handler(lambda: steps.append(1), 10)
            assert image_outcomes.finish_fetch(
                session, claimed, size=100, sha256="ab" * 32, max_order_bytes=limit, window=10
            )
            connection.set_progress_handler(None, 0)
        return len(steps)

    few, many = ([ImageSource(url="https://example.org/a.jpg")] * number for number in (5, MANY))
    small, large = place(database, *few), place(database, *many)
    limit = 100 * (MANY - 1)
    cost = max(fetch(image_id, limit) for image_id in small.image_ids)
    *_, last, _ = [fetch(image_id, limit) for image_id in large.image_ids]
    assert last < 2 * cost
    accepted, refused = (row(database, image_id) for image_id in large.image_ids[-2:])
    assert (accepted.queue, accepted.reason) == ("blur", None)
    assert refused.reason == "TOO_LARGE"


def test_an_order_of_the_version_before_is_added_up_once(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    server.handler = answer(body=b"x" * 60_000)
    order = place(database, *[ImageSource(url=server.url())] * 3)
    make_fetch()(order.image_ids[0])
    with database.write() as session:
        session.execute(update(Order).values(input_bytes=None))
    for image_id in order.image_ids[1:]:
        make_fetch()(image_id)
    assert [row(database, image_id).reason for image_id in order.image_ids] == [None, None, "TOO_LARGE"]


def hold_body(release: threading.Event) -> Handler:
    """Answer with the beginning of a body, and end when the event is set."""

    def slow(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        release.wait(60)

    return slow


def test_a_slow_server_is_given_up_after_its_time(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    release = threading.Event()
    server.handler = hold_body(release)
    (image_id,) = place(database, ImageSource(url=server.url())).image_ids
    make_fetch(limits=replace(LIMITS, seconds=1))(image_id)
    release.set()
    assert (row(database, image_id).state, row(database, image_id).attempts) == ("QUEUED", 1)


def test_a_slow_server_costs_no_other_host_its_connections(
    database: Database, server: HttpsServer, make_fetch: MakeFetch
) -> None:
    release = threading.Event()
    server.handler = hold_body(release)
    fetch = make_fetch(hosts=HostShares(2), limits=replace(LIMITS, seconds=60))
    with HttpsServer(server.authority, handler=answer(body=PHOTO)) as other:
        order = place(
            database,
            ImageSource(url=server.url()),
            ImageSource(url=server.url()),
            ImageSource(url=other.url(host="127.0.0.1")),
        )
        thread = threading.Thread(target=fetch, args=(order.image_ids[0],))
        thread.start()
        server.wait_requests(1)
        fetch(order.image_ids[1])
        fetch(order.image_ids[2])
        release.set()
        thread.join(60)
    slow_one, crowded, elsewhere = (row(database, image_id) for image_id in order.image_ids)
    assert (slow_one.state, slow_one.attempts) == ("QUEUED", 1)
    assert (crowded.state, crowded.attempts) == ("QUEUED", 0)
    assert elsewhere.queue == "blur"


def test_nothing_is_fetched_to_a_full_disk(
    database: Database, server: HttpsServer, make_fetch: MakeFetch, scratch: ScratchFolder
) -> None:
    order = place(database, ImageSource(url=server.url()))
    make_fetch(disk_space=DiskSpace([scratch.path], 1 << 60))(order.image_ids[0])
    found = row(database, order.image_ids[0])
    assert (found.state, found.attempts, found.queue) == ("QUEUED", 0, "fetch")
    assert server.connections == 0
