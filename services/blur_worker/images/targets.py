"""Results in the places that their orders name.

A file of a target has one name in all revisions of its image. So a worker that has lost its claim, because it stood
still for longer than its lease, must not replace what a later one has written: the claim is checked before the write,
and after one that came too late nevertheless, the file is written again from the result that counts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.blur_worker import metrics
from services.common.archive.result_names import with_extension
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.db.orders import image_claims, images
from services.common.db.orders.image_claims import ImageClaim
from services.common.domain.errors import ImageBlurError, ImageError, Reason, Unavailable
from services.common.domain.orders import ImageState, result_key
from services.common.domain.retries import IMAGE_RETRIES, MAX_SOURCE_ATTEMPTS
from services.common.domain.spec import Format
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.places import NoSuchFile, Places, PlaceUnavailable

POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 1800.0
"""How long a late attempt waits for other workers: longer than three of the longest attempts, one after another."""

_log = log.get(__name__)


class ImageClaimLost(ImageBlurError):
    """Another worker has the image by now, or it was cancelled or deleted."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Writes results to targets."""

    database: Database
    blobs: BlobStore
    places: Places
    scratch: Path
    sleep: Callable[[float], None] = time.sleep
    max_wait_seconds: float = MAX_WAIT_SECONDS

    def write(self, claim: ImageClaim, result_format: Format, file: Path) -> None:
        """Write the result of an attempt, if its claim is still valid; a repeated attempt replaces it by the same.

        Raises:
            ImageClaimLost: It is not valid; nothing was written.
            ImageError: The operator names the place no longer.
            PlaceUnavailable: It cannot be reached, or refuses.
            Unavailable: The database cannot be reached.
        """
        assert claim.target
        with self.database.read() as session:
            if not image_claims.holds(session, claim):
                raise ImageClaimLost("the claim was lost before the result was written to the target")
        with metrics.stage("write target"):
            self._write(claim.target, result_format, file)

    def restore(self, claim: ImageClaim) -> None:
        """Write the result that counts again, after an attempt whose result does not count may have replaced it.

        While another worker has the image, wait: it may have written before this attempt did. But no longer than
        `max_wait_seconds`: this thread has other work. Errors are logged.
        """
        attempts, deadline = 0, time.monotonic() + self.max_wait_seconds
        while attempts < MAX_SOURCE_ATTEMPTS and time.monotonic() < deadline:
            try:
                image = self._current(claim)
                if image is None:
                    return
                if image.state == ImageState.RUNNING:
                    self.sleep(POLL_SECONDS)
                    continue
                self._write_again(image)
                later = self._current(claim)
                if later is None or (later.state, later.generation) == (image.state, image.generation):
                    _log.warning("target written again", order=str(claim.order_id), image=str(claim.image_id))
                    return
            except (PlaceUnavailable, NoSuchFile, MissingBlob, Unavailable, ImageError, OSError) as error:
                attempts += 1
                _log.warning("target not written again yet", image=str(claim.image_id), error=str(error))
                self.sleep(IMAGE_RETRIES.delay(attempts))
        _log.error("the target has a result that does not count", order=str(claim.order_id), image=str(claim.image_id))

    def _current(self, claim: ImageClaim) -> Image | None:
        """Return the image if it is RUNNING or has a result, which may be a former one; else None."""
        with self.database.read() as session:
            image = images.get_image(session, claim.order_id, claim.image_id)
        return image if image and (image.state == ImageState.RUNNING or image.format) else None

    def _write_again(self, image: Image) -> None:
        assert image.target
        assert image.format
        file = self.scratch / f"{image.id}.target"
        try:
            with file.open("wb") as writer:
                for chunk in self.blobs.stream(result_key(image.order_id, image.position, image.generation)):
                    writer.write(chunk)
            self._write(image.target, Format(image.format), file)
        finally:
            file.unlink(missing_ok=True)

    def _write(self, target: str, result_format: Format, file: Path) -> None:
        name, _, key = target.partition(":")
        place = self.places.find(name)
        if place is None:
            message = f"the operator names no place {name} for results"
            raise ImageError(Reason.TARGET_UNAVAILABLE, message)
        place.write(with_extension(key, result_format), file)
