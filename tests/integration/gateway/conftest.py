"""A gateway on a free port, over a real Valkey, database and folder; no workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import redis
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from pydantic import SecretStr

from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.gateway.rpc import key_cache
from services.gateway.server import serve
from services.gateway.settings import GatewaySettings
from services.scheduler.sweep import Sweep
from tests.integration.steps_of_work import MakeWorker, worker
from tests.support.files import files_below, sizes_below
from tests.support.serving import served
from tests.support.valkey import ValkeyServer

__all__ = ["worker"]

SECRET = "a secret key that is only for tests, not for use"


@dataclass
class Gateway:
    settings: GatewaySettings
    port: int
    channel: grpc.Channel
    blur: BlurServiceStub
    subscription: SubscriptionServiceStub
    folder: Path

    def files(self) -> list[Path]:
        """What the blob store holds."""
        return files_below(self.folder)

    def sizes(self) -> list[int]:
        """The size of each of these files in bytes."""
        return sizes_below(self.folder)


@pytest.fixture
def settings(
    database: Database,  # noqa: ARG001 - brought to the newest revision
    valkey: redis.Redis,  # noqa: ARG001 - emptied
    database_url: str,
    valkey_server: ValkeyServer,
    tmp_path: Path,
) -> GatewaySettings:
    return GatewaySettings(
        database_url=database_url,
        broker_url=valkey_server.url,
        blob_url=str(tmp_path / "blobs"),
        secret_key=SecretStr(SECRET),
        gateway_address="127.0.0.1:0",
        max_message_bytes=1 << 20,
        max_image_bytes=600_000,
        max_order_bytes=2_000_000,
        max_images=5,
    )


@pytest.fixture
def gateway(settings: GatewaySettings) -> Iterator[Gateway]:
    with running(settings) as gateway:
        yield gateway


@contextmanager
def running(settings: GatewaySettings) -> Iterator[Gateway]:
    """A gateway with these settings; its blobs are in a folder."""
    with served(serve(settings)) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        blur, subscription = BlurServiceStub(channel), SubscriptionServiceStub(channel)
        yield Gateway(settings, port, channel, blur, subscription, Path(settings.blob_url))


@pytest.fixture
def locked(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that requires API keys, and knows of new ones at once."""
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    with running(settings.model_copy(update={"require_keys": True})) as gateway:
        yield gateway


@pytest.fixture
def operator(gateway: Gateway) -> OperatorServiceStub:
    return OperatorServiceStub(gateway.channel)


@pytest.fixture
def blur(worker: MakeWorker, database: Database, blobs: BlobStore) -> Iterator[BlurImage]:
    """What a worker does with the images of these orders; its blobs are the gateway's."""
    with worker(database, blobs) as blur:
        yield blur


@pytest.fixture
def sweep(database: Database, blobs: BlobStore, queues: Broker) -> Sweep:
    return Sweep(database, blobs, queues, window=2)
