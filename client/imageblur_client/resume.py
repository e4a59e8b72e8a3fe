"""An archive through lost connections and restarts of the server."""

import time
from collections.abc import Callable, Iterator

from imageblur.v1.blur_service_pb2 import DownloadImagesRequest, DownloadImagesResponse, FileStart

from imageblur_client.errors import BrokenDownload, ServerUnavailable

RETRIES = 8
_LONGEST_PAUSE = 5.0

Call = Callable[[DownloadImagesRequest], Iterator[DownloadImagesResponse]]


def whole_archive(
    call: Call, request: DownloadImagesRequest, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[DownloadImagesResponse]:
    """The parts of an archive as if its connection had never broken; asked for anew at most 8 times without a byte.

    Raises: BrokenDownload when the archive is no longer the one that was begun; what `call` raises.
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
                        raise BrokenDownload("the archive has changed while it was being fetched: fetch it again")
                    continue
                else:
                    start = part.file
                yield part
        except ServerUnavailable:
            failures += 1
            if start is None or not start.etag or failures > RETRIES:
                raise
            if received == start.size_bytes:
                return
            request.offset = received
            sleep(min(0.25 * 2 ** (failures - 1), _LONGEST_PAUSE))
        else:
            return
