"""Services of the version before (revision 0006) and of this one on the same rows of PostgreSQL, during an upgrade."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CursorResult, Uuid, bindparam, text, update

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.models import Image, UnownedBlobs
from services.common.db.operators import operator_jobs
from services.common.db.operators.operator_jobs import JobAnswer
from services.common.db.orders import image_claims, image_outcomes, orders, revisions, unowned_blobs
from services.common.domain.orders import LATE_SECONDS, ImageQueue, ImageState
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import FIND_QUEUE, OperatorJobKind, blur_image
from services.scheduler.sweep import Sweep
from tests.support.factories import new_images, place_order

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"


class OldVersion:
    """The statements of the version before about unowned blobs, as it sends them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, order_id: UUID) -> bool:
        return self._run(f"INSERT INTO unowned_blobs (order_id, heartbeat_at) VALUES (:id, {_NOW})", order_id)

    def heartbeat(self, order_id: UUID) -> bool:
        return self._run(f"UPDATE unowned_blobs SET heartbeat_at={_NOW} {self._UPLOAD}", order_id)

    def adopt(self, order_id: UUID) -> bool:
        return self._run(f"DELETE FROM unowned_blobs {self._UPLOAD}", order_id)

    def fail(self, order_id: UUID) -> bool:
        return self._run(f"UPDATE unowned_blobs SET heartbeat_at=-1 {self._UPLOAD}", order_id)

    def disown(self, order_id: UUID) -> bool:
        statement = "INSERT INTO unowned_blobs (order_id, heartbeat_at) VALUES (:id, -1)"
        return self._run(f"{statement} ON CONFLICT (order_id) DO UPDATE SET heartbeat_at = -1", order_id)

    def removable(self, order_id: UUID) -> bool:
        silent = f"UPDATE unowned_blobs SET heartbeat_at=-1 WHERE heartbeat_at BETWEEN 0 AND {_NOW} - 60000000"
        due = f"(heartbeat_at = -1 OR heartbeat_at < -1 AND -heartbeat_at < {_NOW})"
        with self._database.write() as session:
            session.execute(text(silent))
            found = session.scalars(text(f"SELECT order_id FROM unowned_blobs WHERE {due} LIMIT 1000"))
            return order_id in list(found)

    def removed(self, order_id: UUID) -> bool:
        due = f"order_id = :id AND heartbeat_at < -1 AND -heartbeat_at < {_NOW}"
        again = f"-({_NOW} + {LATE_SECONDS} * 1000000)"
        gone = self._run(f"DELETE FROM unowned_blobs WHERE {due}", order_id)
        return gone | self._run(
            f"UPDATE unowned_blobs SET heartbeat_at={again} WHERE order_id = :id AND heartbeat_at = -1", order_id
        )

    _UPLOAD: ClassVar = "WHERE order_id = :id AND heartbeat_at > -1"

    def _run(self, statement: str, order_id: UUID) -> bool:
        return run(self._database, statement, id=order_id).rowcount == 1


class NewVersion:
    """The same over this version's statements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, order_id: UUID) -> bool:
        return self._run(unowned_blobs.insert_upload, order_id) is None

    def heartbeat(self, order_id: UUID) -> bool:
        return self._run(unowned_blobs.renew_upload, order_id) is None

    def adopt(self, order_id: UUID) -> bool:
        return bool(self._run(unowned_blobs.adopt_blobs, order_id))

    def fail(self, order_id: UUID) -> bool:
        return bool(self._run(unowned_blobs.mark_upload_failed, order_id))

    def disown(self, order_id: UUID) -> bool:
        return self._run(unowned_blobs.mark_for_removal, order_id) is None

    def removable(self, order_id: UUID) -> bool:
        with self._database.write() as session:
            return order_id in unowned_blobs.list_removable(session, silent_seconds=60, limit=1000)

    def removed(self, order_id: UUID) -> bool:
        return self._run(unowned_blobs.mark_removed, order_id) is None

    def _run(self, statement: Callable[..., object], order_id: UUID) -> object:
        with self._database.write() as session:
            return statement(session, order_id)


def run(database: Database, statement: str, **values: object) -> CursorResult[Any]:
    typed = [bindparam(name, type_=Uuid()) for name, value in values.items() if isinstance(value, UUID)]
    with database.write() as session:
        result = session.execute(text(statement).bindparams(*typed), values)
        assert isinstance(result, CursorResult)
        return result


def state(database: Database, order_id: UUID) -> str | None:
    """What a row means, which it has to say in both ways."""
    with database.read() as session:
        row = session.get(UnownedBlobs, order_id)
        if row is None:
            return None
        old = "REMOVED" if row.heartbeat_at < -1 else "REMOVING" if row.heartbeat_at == -1 else "UPLOADING"
        assert row.state == old
        assert row.check_again_at == (-row.heartbeat_at if old == "REMOVED" else None)
        return old


def test_unowned_blobs_mean_the_same_to_both_versions_whichever_wrote_last(database: Database) -> None:
    versions: Sequence[OldVersion | NewVersion] = (OldVersion(database), NewVersion(database))
    for began, went_on, ended, removed, removed_again in product(versions, repeat=5):
        for end in ("fail", "disown"):
            order_id = uuid4()
            assert began.begin(order_id)
            assert went_on.heartbeat(order_id)
            assert state(database, order_id) == "UPLOADING"
            assert not any(version.removable(order_id) for version in versions)
            assert getattr(ended, end)(order_id)
            assert state(database, order_id) == "REMOVING"
            assert all(version.removable(order_id) for version in versions)
            assert not any(version.adopt(order_id) for version in versions)
            assert removed.removed(order_id)
            assert state(database, order_id) == "REMOVED"
            assert not any(version.removable(order_id) for version in versions)
            assert ended.disown(order_id)
            assert state(database, order_id) == "REMOVING", "a worker came back late"
            assert removed.removed(order_id)
            age = "heartbeat_at = -2" if began is versions[0] else "check_again_at = 2"
            run(database, f"UPDATE unowned_blobs SET {age} WHERE order_id = :id", id=order_id)
            assert all(version.removable(order_id) for version in versions)
            assert removed_again.removed(order_id)
            assert state(database, order_id) is None


def test_uploads_of_either_version_are_adopted_or_fall_silent_for_both(database: Database) -> None:
    versions: Sequence[OldVersion | NewVersion] = (OldVersion(database), NewVersion(database))
    for began, other in product(versions, repeat=2):
        adopted, silent = uuid4(), uuid4()
        for order_id in (adopted, silent):
            began.begin(order_id)
        assert other.adopt(adopted)
        assert state(database, adopted) is None
        run(database, "UPDATE unowned_blobs SET heartbeat_at = 1 WHERE order_id = :id", id=silent)
        assert other.removable(silent)
        assert state(database, silent) == "REMOVING"
        other.removed(silent)


def test_the_old_version_claims_and_ends_emails_by_their_former_name(database: Database) -> None:
    email_id, subscriber_id, owner = uuid4(), uuid4(), uuid4()
    run(
        database,
        "INSERT INTO subscribers (id, email_key, email, locale, state, token_version)"
        " VALUES (:id, 'a@example.org', 'a@example.org', 'en', 'PENDING', 1)",
        id=subscriber_id,
    )
    inserted = run(
        database,
        "INSERT INTO letters (id, kind, part, subscriber_id, state, attempts, not_before, enqueued_at, dropped)"
        " VALUES (:id, 'CONFIRM', 1, :subscriber, 'QUEUED', 0, 0, 1, false)",
        id=email_id,
        subscriber=subscriber_id,
    )
    assert inserted.rowcount == 1
    claim = (
        "UPDATE letters SET state='SENDING', owner=:owner, lease_until=:until, attempts=letters.attempts + 1"
        " WHERE letters.id = :id AND letters.state = 'QUEUED' AND letters.enqueued_at IS NOT NULL"
        " RETURNING letters.id, letters.kind, letters.owner, letters.attempts"
    )
    claimed = run(database, claim, id=email_id, owner=owner, until=1).one()
    assert (claimed.kind, claimed.owner, claimed.attempts) == ("CONFIRM", owner, 1)
    assert run(database, claim, id=email_id, owner=uuid4(), until=1).all() == []
    renew = (
        "WITH anon_1 AS (SELECT letters.id AS id FROM letters WHERE letters.owner IN (:owner)"
        " AND letters.state = 'SENDING' FOR UPDATE SKIP LOCKED)"
        " UPDATE letters SET lease_until=:until WHERE letters.id IN (SELECT anon_1.id FROM anon_1)"
    )
    assert run(database, renew, owner=owner, until=1 << 60).rowcount == 1
    locked = "SELECT letters.id FROM letters WHERE letters.id = :id FOR UPDATE SKIP LOCKED"
    with database.write() as session:
        typed = text(locked).bindparams(bindparam("id", type_=Uuid()))
        assert len(session.execute(typed, {"id": email_id}).all()) == 1
        assert run(database, locked, id=email_id).all() == [], "the other transaction holds it"
    end = (
        "UPDATE letters SET state=:state, owner=NULL, lease_until=NULL, enqueued_at=:enqueued"
        " WHERE letters.id = :id AND letters.state = 'SENDING' AND letters.owner = :owner"
    )
    put_back = {"id": email_id, "owner": owner, "state": "QUEUED", "enqueued": 1}
    assert run(database, end, **put_back).rowcount == 1
    assert run(database, end, **put_back).rowcount == 0
    with database.write() as session:
        taken_over = emails.claim_email(session, email_id, lease_seconds=60)
    assert taken_over
    assert taken_over.attempts == 2
    assert run(database, end, id=email_id, owner=taken_over.owner, state="SENT", enqueued=1).rowcount == 1


def test_the_old_version_takes_and_answers_operator_jobs_by_their_former_name(database: Database) -> None:
    with database.write() as session:
        job_id = operator_jobs.insert_job(session, OperatorJobKind.CHECK_MAIL, {"locale": "en"})
    take = (
        "UPDATE errands SET state='RUNNING' WHERE errands.id = :id AND errands.state = 'QUEUED' RETURNING errands.kind"
    )
    assert run(database, take, id=job_id).scalars().all() == ["CHECK_MAIL"]
    assert run(database, take, id=job_id).all() == []
    answer = "UPDATE errands SET state='DONE', answer=:answer WHERE errands.id = :id"
    assert run(database, answer, id=job_id, answer='{"taken": true}').rowcount == 1
    with database.read() as session:
        assert operator_jobs.get_status(session, job_id).answer == JobAnswer(refused=False, values={"taken": True})
    asked = run(
        database,
        "INSERT INTO errands (id, kind, request, state, created_at) VALUES (:id, 'CHECK_MAIL', '{}', 'QUEUED', 1)",
        id=uuid4(),
    )
    assert asked.rowcount == 1
    assert run(database, "DELETE FROM errands WHERE errands.created_at < 2 RETURNING errands.id").rowcount == 1


CLAIM = (
    "UPDATE images SET state='RUNNING', owner=:owner, lease_until=1, attempts=attempts + 1, revision=revision + 1"
    " WHERE id = :id AND state = 'QUEUED' AND enqueued_at IS NOT NULL"
)
"""As workers of the version before claim an image."""


def test_a_worker_of_the_version_before_claims_images_but_no_revisions(database: Database) -> None:
    order = place_order(database, 2, window=2, originals_seconds=3600)
    assert run(database, CLAIM, id=order.image_ids[0], owner=uuid4()).rowcount == 1
    with database.write() as session:
        session.execute(update(Image).values(state="QUEUED", owner=None, lease_until=None, attempts=0))
    for image_id in order.image_ids:
        finish(database, image_id)
    with database.write() as session:
        locked = orders.lock(session, order.id)
        assert locked
        assert revisions.revise_all(session, locked, BlurSpec().to_json()) == 2
        session.execute(update(Image).values(enqueued_at=1))
    for _ in range(2):  # also after this version has claimed it once
        assert run(database, CLAIM, id=order.image_ids[0], owner=uuid4()).rowcount == 0
        with database.write() as session:
            claim = image_claims.claim(session, order.image_ids[0], lease_seconds=10)
            assert claim
            assert claim.previous_state is ImageState.SUCCEEDED
        with database.write() as session:
            assert image_outcomes.release(session, claim, crashed=False, window=2)
        with database.write() as session:
            session.execute(update(Image).values(enqueued_at=1, not_before=0))


def finish(database: Database, image_id: UUID) -> None:
    """Blur an image, as far as rows show."""
    with database.write() as session:
        claim = image_claims.claim(session, image_id, lease_seconds=10)
        assert claim
        success = image_outcomes.Success(size=1, sha256="00", width=1, height=1, format="PNG")
        assert image_outcomes.finish(session, claim, success, window=2)


def test_images_of_the_old_version_are_of_the_queue_blur_and_its_statements_leave_findings_alone(
    database: Database,
) -> None:
    old = place_order(database, 1)
    image_id, owner = uuid4(), uuid4()
    inserted = run(
        database,
        "INSERT INTO images (id, order_id, position, filename, spec, state, attempts, crashes, not_before, enqueued_at,"
        " revision, input_bytes, output_bytes, width, height, tidied, dropped)"
        " VALUES (:id, :order, 2, 'a.png', NULL, 'QUEUED', 0, 0, 0, 1, 1, 9, 0, 0, 0, false, false)",
        id=image_id,
        order=old.id,
    )
    assert inserted.rowcount == 1
    with database.write() as session:
        claimed = image_claims.claim(session, image_id, lease_seconds=60)
    assert claimed
    assert claimed.queue is ImageQueue.BLUR
    release = "UPDATE images SET state='QUEUED', owner=NULL, lease_until=NULL, enqueued_at=1 WHERE owner = :owner"
    assert run(database, release, owner=claimed.owner).rowcount == 1
    claim = (
        "UPDATE images SET state='RUNNING', owner=:owner, lease_until=1, attempts=images.attempts + 1"
        " WHERE images.id = :id AND images.state = 'QUEUED' AND images.enqueued_at IS NOT NULL"
        " RETURNING images.attempts"
    )
    assert run(database, claim, id=image_id, owner=owner).scalars().all() == [2]
    end = (
        "UPDATE images SET state='SUCCEEDED', owner=NULL, lease_until=NULL, finished_at=2, output_bytes=7, format='PNG'"
        " WHERE id = :id AND state = 'RUNNING' AND owner = :owner"
    )
    assert run(database, end, id=image_id, owner=owner).rowcount == 1
    with database.read() as session:
        ended = session.get_one(Image, image_id)
        assert (ended.queue, ended.findings, ended.check_state) == ("blur", None, None)


def test_an_image_that_an_old_scheduler_sends_to_the_wrong_queue_is_sent_to_its_own(
    database: Database, blobs: BlobStore, queues: Broker
) -> None:
    order = place_order(database, new_images(queue=ImageQueue.FIND))
    queues.send([blur_image(order.image_ids[0])])  # it knows no other queue
    with database.write() as session:
        assert image_claims.claim(session, order.image_ids[0], lease_seconds=60) is None
    run(database, "UPDATE images SET enqueued_at = 1")
    Sweep(database, blobs, queues, window=9).images()
    assert queues.subjects(FIND_QUEUE) == [str(order.image_ids[0])]
