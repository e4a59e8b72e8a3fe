"""Downloads an archive across lost connections and restarts of the server."""

import time
from collections.abc import Callable, Iterator

from imageblur.v1.blur_service_pb2 import DownloadImagesRequest, DownloadImagesResponse, FileStart

from imageblur_client.errors import BrokenDownloadError, ServerUnavailableError

RETRIES = 8
_MAX_PAUSE = 5.0

Call = Callable[[DownloadImagesRequest], Iterator[DownloadImagesResponse]]


def whole_archive(
    call: Call, request: DownloadImagesRequest, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[DownloadImagesResponse]:
    """Yield the parts of an archive; after a lost connection, resume at most 8 times without progress.

    Raises:
        BrokenDownloadError: The archive has changed in between.
        ImageBlurClientError: `call` failed otherwise, or too often.
    """
    start: FileStart | None = None
    received = failures = 0
    while True:
        try:
            for part in call(request):
                if part.WhichOneof("part") != "file":
                    received += len(part.chunk)
                    failures = 0
                elif start is not None:
                    if part.file.etag != start.etag:
                        raise BrokenDownloadError("the archive has changed during the download: download it again")
                    continue
                else:
                    start = part.file
                yield part
        except ServerUnavailableError:
            failures += 1
            if start is None or not start.etag or failures > RETRIES:
                raise
            if received == start.size_bytes:
                return
            request.offset = received
            sleep(min(0.25 * 2 ** (failures - 1), _MAX_PAUSE))
        else:
            return
