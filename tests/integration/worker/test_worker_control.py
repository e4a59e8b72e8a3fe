"""A worker leaves a paused queue alone, and says that it lives."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import dramatiq
import pytest
import redis
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import WorkerSeen
from services.common.db.queues import find_models, workers
from services.common.domain.errors import Unavailable
from services.common.domain.findings import FindModel
from services.common.infra.messaging import worker_control
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FIND_QUEUE,
    MAIL_QUEUE,
    blur_image,
    find_image,
    send_email,
)
from services.common.infra.messaging.worker_control import WorkerControl
from tests.support.findings import FACES, PLATES
from tests.support.waiting import eventually


@pytest.fixture
def handled() -> list[str]:
    return []


@pytest.fixture
def worker(
    database: Database, queues: Broker, handled: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dramatiq.Worker]:
    """Serves both queues; not started."""
    monkeypatch.setattr(worker_control, "POLL_SECONDS", 0.02)
    for name, queue in (("blur_image", BLUR_QUEUE), ("send_email", MAIL_QUEUE)):
        dramatiq.actor(broker=queues, actor_name=name, queue_name=queue)(handled.append)
    queues.add_middleware(WorkerControl(database, queues, {BLUR_QUEUE: 2, MAIL_QUEUE: 1}))
    worker = dramatiq.Worker(queues, worker_threads=1)
    yield worker
    worker.stop()


@pytest.fixture
def models() -> list[FindModel]:
    """The models that the worker has."""
    return []


@pytest.fixture
def finder(
    database: Database, queues: Broker, handled: list[str], models: list[FindModel], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dramatiq.Worker]:
    """Serves the queues of images; not started."""
    for name in ("POLL_SECONDS", "HEARTBEAT_SECONDS", "MODELS_SECONDS"):
        monkeypatch.setattr(worker_control, name, 0.02)
    for name, queue in (("blur_image", BLUR_QUEUE), ("find_image", FIND_QUEUE)):
        dramatiq.actor(broker=queues, actor_name=name, queue_name=queue)(handled.append)
    slots = {BLUR_QUEUE: 2, FIND_QUEUE: 2}
    queues.add_middleware(WorkerControl(database, queues, slots, get_models=lambda: models))
    worker = dramatiq.Worker(queues, worker_threads=1)
    yield worker
    worker.stop()


def pause(database: Database, queue: str = BLUR_QUEUE) -> None:
    with database.write() as session:
        assert workers.pause(session, queue, "test")


def resume(database: Database) -> None:
    with database.write() as session:
        assert workers.resume(session, BLUR_QUEUE)


def test_a_paused_queue_is_left_alone_and_others_are_not(
    database: Database, queues: Broker, worker: dramatiq.Worker, handled: list[str]
) -> None:
    pause(database)
    worker.start()  # what was paused before its start, it knows of at its start
    image, email = uuid4(), uuid4()
    queues.send([blur_image(image), send_email(email)])
    eventually(lambda: handled == [str(email)])
    assert queues.depths(BLUR_QUEUE) == (1, 0)
    resume(database)
    eventually(lambda: handled == [str(email), str(image)])


def test_what_was_paused_before_its_start_a_worker_does_not_begin_with(
    database: Database, queues: Broker, worker: dramatiq.Worker, handled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_control, "POLL_SECONDS", 3600.0)  # it looks once, before the first message is taken
    pause(database)
    image, email = uuid4(), uuid4()
    queues.send([blur_image(image), send_email(email)])
    worker.start()
    eventually(lambda: handled == [str(email)])
    assert queues.depths(BLUR_QUEUE) == (1, 0)


def test_a_worker_that_cannot_know_takes_nothing(queues: Broker, worker: dramatiq.Worker, handled: list[str]) -> None:
    asked = threading.Event()

    def away(_: object) -> set[str]:
        asked.set()
        raise Unavailable("the database cannot be reached")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "list_paused", away)
        queues.send([blur_image(uuid4())])
        worker.start()
        assert asked.wait(10)
        assert not queues._resumed[BLUR_QUEUE].is_set()
        assert handled == []
    eventually(lambda: handled)


def test_a_consumer_that_waits_for_a_message_leaves_it_when_it_was_paused_meanwhile(
    database: Database, queues: Broker, worker: dramatiq.Worker, handled: list[str]
) -> None:
    worker.start()
    eventually(lambda: sum(c["cmd"] == "blmove" for c in queues.client.client_list()) >= 2)
    pause(database)
    eventually(lambda: not queues._resumed[BLUR_QUEUE].is_set())
    queues.send([blur_image(uuid4())])
    # The next thing that it does is another wait, of a second.
    with pytest.raises(AssertionError):
        eventually(lambda: handled, within=1.5)
    assert queues.depths(BLUR_QUEUE) == (1, 0)
    resume(database)
    eventually(lambda: handled)


def test_a_pause_survives_a_broker_without_its_data(
    database: Database, queues: Broker, worker: dramatiq.Worker, handled: list[str], valkey: redis.Redis
) -> None:
    pause(database)
    worker.start()
    valkey.flushall()
    image = uuid4()
    queues.send([blur_image(image), send_email(uuid4())])
    eventually(lambda: len(handled) == 1)
    assert str(image) not in handled


def test_a_worker_says_that_it_lives_until_it_ends(
    database: Database, worker: dramatiq.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_control, "HEARTBEAT_SECONDS", 3600.0)  # it says so once, at its start

    def listed() -> list[tuple[str, int, bool]]:
        with database.read() as session:
            return [(row.queue, row.slots, alive) for row, alive in workers.list_workers(session)]

    worker.start()
    assert listed() == [(BLUR_QUEUE, 2, True), (MAIL_QUEUE, 1, True)]
    with database.write() as session:
        session.execute(update(WorkerSeen).values(seen_at=WorkerSeen.seen_at - 16_000_000))
    assert listed() == [(BLUR_QUEUE, 2, False), (MAIL_QUEUE, 1, False)]
    worker.stop()
    assert listed() == []


def test_a_worker_that_was_killed_is_forgotten_after_a_day(database: Database, worker: dramatiq.Worker) -> None:
    with database.write() as session:
        workers.insert_worker(session, uuid4(), BLUR_QUEUE, host="gone", pid=1, version="0", slots=1)
        session.execute(update(WorkerSeen).values(seen_at=WorkerSeen.seen_at - 86_401_000_000))
    worker.start()
    with database.read() as session:
        assert "gone" not in session.scalars(select(WorkerSeen.host)).all()


def test_a_worker_without_models_leaves_images_with_something_to_find(
    database: Database, queues: Broker, finder: dramatiq.Worker, handled: list[str], models: list[FindModel]
) -> None:
    def served() -> list[str]:
        with database.read() as session:
            return [row.queue for row, _ in workers.list_workers(session)]

    def announced() -> list[FindModel]:
        with database.read() as session:
            return find_models.list_available(session)

    finder.start()
    searched, blurred = uuid4(), uuid4()
    queues.send([find_image(searched), blur_image(blurred)])
    eventually(lambda: handled == [str(blurred)])
    assert queues.depths(FIND_QUEUE) == (1, 0)
    assert (served(), announced()) == ([BLUR_QUEUE], [])
    models.extend([PLATES, FACES])  # its child processes have started
    eventually(lambda: handled == [str(blurred), str(searched)])
    eventually(lambda: served() == [BLUR_QUEUE, FIND_QUEUE])
    eventually(lambda: announced() == [PLATES, FACES])
    pause(database, FIND_QUEUE)
    eventually(lambda: not queues._resumed[FIND_QUEUE].is_set())
    assert queues._resumed[BLUR_QUEUE].is_set()
