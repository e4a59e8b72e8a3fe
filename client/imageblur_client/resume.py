"""Downloads an archive across lost connections and restarts of the server."""

import time
from collections.abc import Callable, Iterator

from imageblur.v1.blur_service_pb2 import DownloadImagesRequest, DownloadImagesResponse, FileStart

from imageblur_client.errors import BrokenDownloadError, ServerUnavailableError

RETRIES = 8
_MAX_PAUSE = 5.0

Call = Callable[[DownloadImagesRequest], Iterator[DownloadImagesResponse]]


class ArchiveProgress:
    """What was received of an archive over several calls, without the calls."""

    def __init__(self) -> None:
        self._start: FileStart | None = None
        self._received = 0
        self._failures = 0

    def take(self, part: DownloadImagesResponse) -> bool:
        """Record a part; return whether it is new.

        Raises:
            BrokenDownloadError: The archive has changed in between.
        """
        if part.WhichOneof("part") != "file":
            self._received += len(part.chunk)
            self._failures = 0
        elif self._start is not None:
            if part.file.etag != self._start.etag:
                raise BrokenDownloadError("the archive has changed during the download: download it again")
            return False
        else:
            self._start = part.file
        return True

    def pause_after(self, error: ServerUnavailableError, request: DownloadImagesRequest) -> float | None:
        """Set the offset of the next call; return the seconds to wait before it, or None if nothing is missing.

        Raises:
            ServerUnavailableError: It is not worth another call.
        """
        self._failures += 1
        if self._start is None or not self._start.etag or self._failures > RETRIES:
            raise error
        if self._received == self._start.size_bytes:
            return None
        request.offset = self._received
        backoff: float = 0.25 * 2 ** (self._failures - 1)
        return min(backoff, _MAX_PAUSE)


def whole_archive(
    call: Call, request: DownloadImagesRequest, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[DownloadImagesResponse]:
    """Yield the parts of an archive; after a lost connection, resume at most 8 times without progress.

    Raises:
        BrokenDownloadError: The archive has changed in between.
        ImageBlurClientError: `call` failed otherwise, or too often.
    """
    progress = ArchiveProgress()
    while True:
        try:
            for part in call(request):
                if progress.take(part):
                    yield part
        except ServerUnavailableError as error:
            pause = progress.pause_after(error, request)
            if pause is None:
                return
            sleep(pause)
        else:
            return
