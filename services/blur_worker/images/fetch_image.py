"""The use case of the queue `fetch`: store the original of an image that has a source, and pass the image on."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.images.outcomes import Retry
from services.common.db.engine import Database, retry_unavailable
from services.common.db.orders import image_claims, image_outcomes
from services.common.db.orders.image_claims import ImageClaim
from services.common.db.orders.image_outcomes import EndedClaim, Failure
from services.common.domain.addresses import BadUrl, parse_url
from services.common.domain.errors import Reason, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import ImageQueue, original_key
from services.common.domain.places import PlaceKey
from services.common.domain.retries import MAX_SOURCE_ATTEMPTS
from services.common.domain.sources import ImageSource
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.outbound.errors import OutboundError, RefusedAddress, ResponseTooLarge
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.places import NoSuchFile, Places, PlaceUnavailable
from services.common.use_cases.order_lifecycle import OrderLifecycle

TEMPORARY = frozenset({408, 425, 429})
"""Client errors of HTTP after which another attempt may succeed."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What a source may be."""

    image_bytes: int
    order_bytes: int
    """Most bytes of all images of an order together."""
    seconds: float
    """Longest time for a source with an address."""


@dataclass(frozen=True)
class Fetched:
    """The original is stored."""

    size: int
    sha256: str


class _Rejected(Exception):
    """The image fails."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(reason, message)


class _HostLimitReached(Exception):
    """The host has as many connections as it may have."""


@dataclass(frozen=True, kw_only=True)
class FetchImage:
    """Fetches the sources of images that messages name."""

    database: Database
    blobs: BlobStore
    places: Places
    client: HttpsClient
    allow_urls: bool
    hosts: HostShares
    scratch: ScratchFolder
    disk_space: DiskSpace
    leases: Leases
    lifecycle: OrderLifecycle
    limits: FetchLimits
    window: int

    def __call__(self, image_id: UUID, queue: ImageQueue = ImageQueue.FETCH) -> None:
        """Fetch the source of an image if it can be claimed; the outcome is in the image's row afterwards."""
        with self.database.write(durable=False) as session:
            claim = image_claims.claim(session, image_id, lease_seconds=LEASE_SECONDS, queue=queue)
        if claim is None:
            _log.debug("source", image=str(image_id), outcome="NOTHING_TO_DO")
            return
        start = time.monotonic()
        self.lifecycle.after_commit(FollowUp(changed_order_ids=[claim.order_id]))
        with self.leases.hold(claim.owner):
            outcome = self._attempt(claim)
            ended = retry_unavailable(partial(self._record, claim, outcome))
        if ended:
            self.lifecycle.after_commit(ended.follow_up)
        self._remove_surplus_blobs(claim, ended)
        _report(claim, outcome, time.monotonic() - start)

    def _attempt(self, claim: ImageClaim) -> Fetched | Failure | Retry:
        assert claim.source
        source = ImageSource.from_json(claim.source)
        file = self.scratch.path / f"{claim.owner}.source"
        try:
            self.disk_space.check()
            self.scratch.path.mkdir(mode=0o700, exist_ok=True)
            with self._open(source) as chunks:
                fetched = self._save(chunks, file)
            _check(source, fetched)
            key = original_key(claim.order_id, claim.position)
            self.blobs.store_file(key, file)
            self.blobs.persist(key)
        except _Rejected as error:
            return error.failure
        except ResponseTooLarge as error:
            return Failure(Reason.TOO_LARGE, str(error))
        except RefusedAddress as error:
            return Failure(Reason.SOURCE_REFUSED, str(error))
        except (OutboundError, PlaceUnavailable) as error:
            if claim.attempts >= MAX_SOURCE_ATTEMPTS:
                return Failure(Reason.SOURCE_UNAVAILABLE, str(error))
            return Retry(cause=str(error))
        except NoSuchFile as error:
            return Failure(Reason.SOURCE_UNAVAILABLE, str(error))
        except _HostLimitReached:
            return Retry(cause="the host has as many connections as it may have", counted=False)
        except Unavailable as error:
            return Retry(cause=str(error), counted=False)
        except Exception:
            _log.exception("source not fetched", image=str(claim.image_id))
            return Retry(cause="unexpected error")
        finally:
            file.unlink(missing_ok=True)
        return fetched

    @contextmanager
    def _open(self, source: ImageSource) -> Iterator[Iterator[bytes]]:
        if source.file:
            yield self._read_file(source.file)
            return
        try:
            url = parse_url(source.url)
        except BadUrl as error:  # accepted by another version
            raise _Rejected(Reason.SOURCE_REFUSED, f"the address {error}") from None
        if not self.allow_urls:
            raise _Rejected(Reason.SOURCE_REFUSED, "the operator does not allow addresses as sources")
        with self.hosts.hold(url.host) as free:
            if not free:
                raise _HostLimitReached
            with self.client.request("GET", url, seconds=self.limits.seconds) as answer:
                _check_status(answer.status, answer.header("Content-Encoding"))
                yield answer.chunks(self.limits.image_bytes)

    def _read_file(self, file: PlaceKey) -> Iterator[bytes]:
        place = self.places.find(file.place)
        if place is None:
            raise _Rejected(Reason.SOURCE_REFUSED, f"the operator names no place {file.place} for sources")
        return place.read(file.key)

    def _save(self, chunks: Iterator[bytes], file: Path) -> Fetched:
        digest, size = hashlib.sha256(), 0
        with file.open("wb") as writer:
            for chunk in chunks:
                size += len(chunk)
                if size > self.limits.image_bytes:
                    raise ResponseTooLarge(f"the file is larger than {self.limits.image_bytes} bytes")
                digest.update(chunk)
                _write(writer.write, chunk)
        return Fetched(size, digest.hexdigest())

    def _record(self, claim: ImageClaim, outcome: Fetched | Failure | Retry) -> EndedClaim | None:
        with self.database.write() as session:
            match outcome:
                case Fetched():
                    return image_outcomes.finish_fetch(
                        session,
                        claim,
                        size=outcome.size,
                        sha256=outcome.sha256,
                        max_order_bytes=self.limits.order_bytes,
                        window=self.window,
                    )
                case Failure():
                    return image_outcomes.finish(session, claim, outcome, window=self.window)
                case Retry():
                    return image_outcomes.release(
                        session, claim, crashed=False, counted=outcome.counted, window=self.window
                    )

    def _remove_surplus_blobs(self, claim: ImageClaim, ended: EndedClaim | None) -> None:
        try:
            if ended is None:
                self.lifecycle.discard_late_result(claim.order_id, claim.image_id)
            elif ended.image_state:
                self.blobs.delete(*ended.surplus_keys)
        except Unavailable as error:
            _log.warning("blobs not removed, the sweep will", error=str(error))


def _write(write: Callable[[bytes], object], chunk: bytes) -> None:
    try:
        write(chunk)
    except OSError as error:
        raise Unavailable(f"the original cannot be written: {error.strerror}") from None


def _check(source: ImageSource, fetched: Fetched) -> None:
    if not fetched.size:
        raise _Rejected(Reason.NOT_AN_IMAGE, "the source is empty")
    if source.size is not None and source.size != fetched.size:
        raise _Rejected(Reason.CORRUPT, f"the source has {fetched.size} bytes, not {source.size}")
    if source.sha256 is not None and source.sha256 != fetched.sha256:
        raise _Rejected(Reason.CORRUPT, "the source has another SHA-256")


def _check_status(status: int, encoding: str) -> None:
    if status == 200:
        if encoding not in {"", "identity"}:
            raise _Rejected(Reason.SOURCE_UNAVAILABLE, "the server compresses its answer though it was not asked to")
        return
    if 300 <= status < 400:
        message = f"the server answered HTTP {status}: redirects are not followed, name the final address"
        raise _Rejected(Reason.SOURCE_REFUSED, message)
    if 400 <= status < 500 and status not in TEMPORARY:
        raise _Rejected(Reason.SOURCE_UNAVAILABLE, f"the server answered HTTP {status}")
    raise OutboundError(f"the server answered HTTP {status}")


def _report(claim: ImageClaim, outcome: Fetched | Failure | Retry, seconds: float) -> None:
    match outcome:
        case Fetched():
            fields, write = {"outcome": "FETCHED", "bytes": outcome.size}, _log.debug
        case Failure():
            fields, write = {"outcome": "FAILED", "reason": outcome.reason.value}, _log.info
        case Retry():
            fields, write = {"outcome": "RETRY" if outcome.counted else "POSTPONED", "cause": outcome.cause}, _log.info
    metrics.count_fetch(str(fields["outcome"]), seconds)
    write("source", image=str(claim.image_id), order=str(claim.order_id), seconds=round(seconds, 4), **fields)
