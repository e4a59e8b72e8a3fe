"""Every RPC that changes something records it in the audit log, or is listed here with the reason why not."""

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from dramatiq import Message
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_pb2, subscription_service_pb2
from imageblur.v1 import operator_service_pb2 as pb
from pydantic import SecretStr
from sqlalchemy import select, update

from services.common import migrations
from services.common.db.access import api_keys
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import custom_texts, emails, mailings, subscribers
from services.common.db.models import AuditEntry, Email, Image, Order, Subscriber
from services.common.db.operators import operator_jobs
from services.common.db.operators.operator_jobs import JobAnswer
from services.common.db.orders import new_orders, orders
from services.common.db.queues import workers
from services.common.db.webhooks import outgoing
from services.common.domain.api_keys import Role
from services.common.domain.mail import EmailKind
from services.common.domain.mailboxes import MailboxHasher
from services.common.domain.orders import OrderState, original_key
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import RUN_OPERATOR_JOB, OperatorJobKind
from services.common.use_cases.mail_reports import RecordMailReports
from services.common.use_cases.order_lifecycle import make_lifecycle
from services.common.use_cases.recipients import Recipients
from services.gateway.instant.queue import InstantQueue
from services.gateway.operator.access.personal_data import PersonalData
from services.gateway.operator.mail.subscribers import SubscriberOperations
from services.gateway.operator.operator_jobs import OperatorJobs
from services.gateway.operator.orders.order_actions import OrderActions
from services.gateway.operator.queues.failures import FailureOperations
from services.gateway.operator.queues.queues import QueueOperations
from services.gateway.operator.servicer import OperatorServicer
from services.gateway.orders.delivery_requests import RequestDelivery
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.placement.external_access import ExternalAccessPolicy
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.orders.revision_requests import ReviseImages
from services.gateway.rpc.access import OPERATOR, allowed_roles
from services.gateway.rpc.callers import CURRENT_CALL, Caller, CurrentCall
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.operator.test_recorded_changes import RECORDED_CHANGES
from tests.support.factories import new_images, new_order
from tests.support.mail_reports import hard_bounce

ADDRESS = "ann@example.org"
CALLER = Caller(Role.ADMIN, uuid4())
SENT = {"accepted": True, "server_reply": "250 OK", "transcript": []}
ANSWERS: dict[OperatorJobKind, dict[str, object]] = {
    OperatorJobKind.RUN_MAILING: {"mailing_id": str(uuid4())},
    OperatorJobKind.TEST_MAILING: SENT,
    OperatorJobKind.PREVIEW_EMAIL: {"subject": "", "text": "", "html": ""},
    OperatorJobKind.CHECK_MAIL: {**SENT, "warnings": []},
}
METHODS = {method.name for method in pb.DESCRIPTOR.services_by_name["OperatorService"].methods}
CHANGES = {
    name for name in METHODS if Role.VIEWER not in allowed_roles(OPERATOR + name) and not name.startswith("List")
}
CUSTOMERS_METHODS = {
    method.name
    for module, service in ((blur, "BlurService"), (subscription_service_pb2, "SubscriptionService"))
    for method in module.DESCRIPTOR.services_by_name[service].methods
}
READS = re.compile(r"Get|List|Watch|Status|Download|Find|Preview")
NOT_RECORDED = {
    "BlurOrder": "the order's row has who placed it, and when",
    "StreamBlurOrder": "as BlurOrder",
    "CreateUpload": "as BlurOrder: an upload is an order to be",
    "AppendUpload": "as BlurOrder",
    "CompleteUpload": "as BlurOrder",
    "DeleteUpload": "there was no order",
    "BlurImage": "nothing is stored",
    "Subscribe": "the subscriber's row has its state and times; an entry would outlive the erasure of the address",
    "ConfirmSubscription": "as Subscribe",
    "Unsubscribe": "as Subscribe",
}
"""RPCs of customers that change something and leave no entry, with the reason."""


class AnsweringBroker:
    """Stands in for the broker, and for a mailer that answers operator jobs at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, messages: Iterable[Message[None]]) -> None:
        for message in messages:
            if message.actor_name == RUN_OPERATOR_JOB:
                job_id = UUID(message.args[0])
                with self._database.write() as session:
                    job = operator_jobs.claim_job(session, job_id)
                    assert job
                    operator_jobs.finish_job(session, job_id, JobAnswer(refused=False, values=ANSWERS[job.kind]))

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        pass

    def depths(self, _queue: str) -> tuple[int, int]:
        return 0, 0

    def refuse_waiting(self, _refusal: object) -> int:
        return 0


class World:
    """A servicer over a database with something to change in it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder}/imageblur.db")
        blobs = BlobStore(str(folder / "blobs"))
        self.broker = AnsweringBroker(self.database)
        broker = cast("Broker", self.broker)
        lifecycle = make_lifecycle(self.database, blobs, broker, window=10)
        self.threads = ThreadPool(2)
        recipients = Recipients(hasher=MailboxHasher("k" * 40), anyone=True)
        settings = GatewaySettings(secret_key=SecretStr("k" * 40))
        storage = OrderStorage(
            settings=settings,
            database=self.database,
            blobs=blobs,
            after_commit=lifecycle.after_commit,
            disk_space=DiskSpace([folder], 0),
            recipients=recipients,
            external_access=ExternalAccessPolicy(allow_urls=True, networks=()),
        )
        self.servicer = OperatorServicer(
            database=self.database,
            threads=self.threads,
            queues=QueueOperations(self.database, broker, lifecycle, cast("InstantQueue", self.broker)),
            order_actions=OrderActions(
                database=self.database,
                lifecycle=lifecycle,
                request_delivery=RequestDelivery(self.database, lifecycle.after_commit, 0, recipients),
                revise_images=ReviseImages(storage),
            ),
            models=AvailableModels(self.database, self.threads),
            failures=FailureOperations(self.database, blobs, lifecycle.after_commit),
            jobs=OperatorJobs(self.database, lifecycle.after_commit, self.threads),
            personal_data=PersonalData(self.database, lifecycle, MailboxHasher("k" * 40)),
            after_commit=lifecycle.after_commit,
            subscribers=SubscriberOperations(self.database, MailboxHasher("k" * 40)),
            mail_reports=RecordMailReports(
                database=self.database, after_commit=lifecycle.after_commit, hasher=MailboxHasher("k" * 40)
            ),
        )
        order_id = self.order_id = uuid4()
        (folder / "blobs" / original_key(order_id, 1)).parent.mkdir(parents=True)
        (folder / "blobs" / original_key(order_id, 1)).write_bytes(b"original")
        with self.database.write() as session:
            images = new_images(count=2, size=8)
            self.failed_image = images[0].id
            order = new_order(id=order_id, email=ADDRESS, webhook_url="https://example.org/")
            new_orders.insert_order(session, order, images, window=10)
            locked = orders.lock(session, order_id)
            assert locked
            (event_id,) = outgoing.insert_event(session, locked, OrderState.SUCCEEDED, {})
            self.event_id = str(event_id)
            session.execute(
                update(Image).where(Image.id == self.failed_image).values(state="FAILED", reason="TIMED_OUT")
            )
            key = api_keys.create(session, AuditContext("test", "set up"), name="Ada", role=Role.CLIENT, seconds=None)
            self.key_id = str(key.row.id)
            self.mailing_id = str(mailings.insert_mailing(session, period="manual:1", due_at=1, content="{}"))
            workers.pause(session, "mailing", "test")
            subscribers.subscribe(session, email=ADDRESS, email_key=ADDRESS, locale="en", confirm=False)
            self.email_id = emails.insert_subscriber_email(
                session, session.scalars(select(Subscriber.id)).one(), EmailKind.CONFIRM
            )
            session.execute(update(Email).values(state="SENT"))
            custom_texts.set_text(session, "goodbye/ru/body.txt", "...", by="test")
            subscribers.suppress(session, session.scalars(select(Subscriber.id)).one(), "550 5.1.1 unknown")

    def finished(self) -> operator_pb2.OrderSelection:
        """The order, whose images have ended, and which keeps its originals."""
        with self.database.write() as session:
            ended = {"state": "SUCCEEDED", "finished_at": 1, "format": "JPEG"}
            session.execute(update(Image).values(**ended))
            session.execute(
                update(Order).values(
                    state="SUCCEEDED", finished_at=1, succeeded=2, originals_seconds=60, originals_until=2**60
                )
            )
        return _selected(self)

    def entries(self) -> Counter[tuple[str, str]]:
        with self.database.read() as session:
            return Counter((row.principal, row.action) for row in session.scalars(select(AuditEntry)))

    def call(self, method: str, request: Any) -> None:
        async def run() -> None:
            CURRENT_CALL.set(CurrentCall(CALLER, "ipv4:192.0.2.1:1", method))
            response = getattr(self.servicer, method)(request, None)
            if hasattr(response, "__aiter__"):
                assert [part async for part in response]
            else:
                await response

        asyncio.run(run())


def _selected(world: "World") -> operator_pb2.OrderSelection:
    return operator_pb2.OrderSelection(order_ids=[str(world.order_id)])


async def _stream(*parts: Any) -> AsyncIterator[Any]:
    for part in parts:
        yield part


REQUESTS: dict[str, Callable[[World], Any]] = {
    "PauseQueue": lambda _: pb.PauseQueueRequest(queue="blur"),
    "ResumeQueue": lambda _: pb.ResumeQueueRequest(queue="mailing"),
    "PurgeQueue": lambda _: pb.PurgeQueueRequest(queue="blur"),
    "CancelOrders": lambda world: pb.CancelOrdersRequest(selection=_selected(world)),
    "DeleteOrders": lambda world: pb.DeleteOrdersRequest(selection=_selected(world)),
    "SendOrders": lambda world: pb.SendOrdersRequest(selection=world.finished()),
    "ReviseOrders": lambda world: pb.ReviseOrdersRequest(selection=world.finished()),
    "ExtendOrders": lambda world: pb.ExtendOrdersRequest(selection=_selected(world), extension=Duration(seconds=60)),
    "RestrictApiKey": lambda world: pb.RestrictApiKeyRequest(api_key_id=world.key_id),
    "RetryFailures": lambda world: pb.RetryFailuresRequest(failure_ids=[str(world.failed_image)]),
    "DismissFailures": lambda _: pb.DismissFailuresRequest(all=True),
    "ResendWebhookEvents": lambda world: pb.ResendWebhookEventsRequest(event_ids=[world.event_id]),
    "RunMailing": lambda _: pb.RunMailingRequest(),
    "PauseMailing": lambda world: news.PauseMailingRequest(mailing_id=world.mailing_id),
    "ResumeMailing": lambda world: news.ResumeMailingRequest(mailing_id=world.mailing_id),
    "CancelMailing": lambda world: pb.CancelMailingRequest(mailing_id=world.mailing_id),
    "SendTestMailing": lambda _: pb.SendTestMailingRequest(email=ADDRESS),
    "CheckMail": lambda _: pb.CheckMailRequest(email=ADDRESS),
    "ExportPersonalData": lambda _: pb.ExportPersonalDataRequest(email=ADDRESS),
    "ErasePersonalData": lambda _: pb.ErasePersonalDataRequest(email=ADDRESS),
    "LiftSuppression": lambda _: pb.LiftSuppressionRequest(email=ADDRESS),
    "ExportSubscribers": lambda _: news.ExportSubscribersRequest(),
    "ImportSubscribers": lambda _: _stream(
        news.ImportSubscribersRequest(
            start=news.ImportStart(consent=news.IMPORT_CONSENT_ATTESTED, source="fair", consent_time=Timestamp())
        ),
        news.ImportSubscribersRequest(data=f"email\n{ADDRESS}\nnew@example.org".encode()),
    ),
    "SetEmailText": lambda _: news.SetEmailTextRequest(name="goodbye/en/body.txt", text="Bye"),
    "ResetEmailText": lambda _: news.ResetEmailTextRequest(name="goodbye/ru/body.txt"),
    "SuppressSubscriber": lambda _: news.SuppressSubscriberRequest(email="bob@example.org"),
    "RecordMailReport": lambda world: news.RecordMailReportRequest(message=hard_bounce(world.email_id)),
    "CreateApiKey": lambda _: pb.CreateApiKeyRequest(name="Bob", role=operator_pb2.API_KEY_ROLE_VIEWER),
    "RotateApiKey": lambda world: pb.RotateApiKeyRequest(api_key_id=world.key_id),
    "RevokeApiKey": lambda world: pb.RevokeApiKeyRequest(api_key_id=world.key_id),
}


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("empty") / "imageblur.db"
    database = Database(f"sqlite:///{file}")
    migrations.upgrade(database)
    database.close()
    return file


@pytest.fixture
def world(empty_database: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copy(empty_database, tmp_path)
    world = World(tmp_path)
    yield world
    world.threads.close()
    world.database.close()


def test_the_table_of_requests_has_every_rpc_that_changes_something() -> None:
    assert set(REQUESTS) == CHANGES


def test_every_rpc_of_customers_reads_or_is_recorded_or_has_a_reason_why_not() -> None:
    changes = {name for name in CUSTOMERS_METHODS if not READS.match(name)}
    assert changes == RECORDED_CHANGES.keys() | NOT_RECORDED.keys()


@pytest.mark.parametrize("method", sorted(CHANGES))
def test_a_change_is_recorded_with_its_author_and_its_rpc(world: World, method: str) -> None:
    request = REQUESTS[method](world)
    before = world.entries()
    world.call(method, request)
    assert world.entries() - before == {(CALLER.principal, method): 1}
    with world.database.read() as session:
        assert not any(ADDRESS in row.subject + row.detail for row in session.scalars(select(AuditEntry)))
