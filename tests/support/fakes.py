"""Fakes of the ports that use cases have: broker, blob store, child processes, clock."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

from dramatiq import Message

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import BlurredFile
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker


class FakeBroker(Broker):
    """Keeps the messages and announcements that it is given."""

    def __init__(self) -> None:
        self.messages: list[Message[None]] = []
        self.announced: list[tuple[UUID, bool]] = []
        """Order ids, and whether they were announced as ended."""

    def send(self, messages: Iterable[Message[None]]) -> None:
        self.messages += messages

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        self.announced += [(order_id, ended) for order_id in order_ids]

    def subjects(self, queue: str) -> list[str]:
        return [str(message.args[0]) for message in self.messages if message.queue_name == queue]


class FakeBlobs(BlobStore):
    """A blob store in memory, which is no folder."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fail_to_store: Exception | None = None
        """Raised by `store_file`."""

    def put(self, key: str, data: bytes) -> None:
        self.blobs[key] = data

    def store_file(self, key: str, file: Path) -> None:
        if self.fail_to_store:
            raise self.fail_to_store
        self.blobs[key] = file.read_bytes()

    def persist(self, *keys: str) -> None:
        """Memory is as durable as this store gets."""

    def get(self, key: str) -> bytes:
        if key not in self.blobs:
            raise MissingBlob(key)
        return self.blobs[key]

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield self.get(key)[offset:][:length]

    def local_path(self, key: str) -> Path | None:
        del key
        return None

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.blobs.pop(key, None)

    def delete_prefix(self, prefix: str) -> None:
        self.delete(*[key for key in self.blobs if key.startswith(prefix)])


class FakeChildPool(ChildPool):
    """Blurs to the bytes "blurred"; raises `errors` first, one for each image."""

    def __init__(self, blurred: BlurredFile) -> None:
        self.result = blurred
        self.errors: list[Exception] = []
        self.while_blurring: Callable[[], None] = lambda: None
        """Called in the midst of the work."""

    def blur(
        self,
        original: Path,
        result: Path,
        spec: BlurSpec,
        on_start: Callable[[], None] = lambda: None,
        *,
        wait_seconds: float = 0,
        seconds: int | None = None,
    ) -> BlurredFile:
        del spec, wait_seconds, seconds
        assert original.read_bytes()
        on_start()
        self.while_blurring()
        if self.errors:
            raise self.errors.pop(0)
        result.write_bytes(b"blurred")
        return self.result


class HourlyClock:
    """A clock on which each look takes an hour."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 3600
        return self.now

    def sleep(self, _: float) -> None:
        """Return at once."""
