"""A place that is a bucket of S3, or a prefix in one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from services.common.infra.places.stores import ListedFile, NoSuchFile, PlaceUnavailable, take_accepted

CHUNK = 1 << 20


class BucketPlace:
    """Files below a prefix of a bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def read(self, key: str) -> Iterator[bytes]:
        """See `PlaceStore.read`."""
        with _translated():
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def write(self, key: str, file: Path) -> None:
        """See `PlaceStore.write`."""
        with _translated():
            obstore.put(self._store, key, file)

    def list_files(self, prefix: str, accept: Callable[[str], bool], limit: int) -> list[ListedFile]:
        """See `PlaceStore.list_files`."""
        with _translated():
            objects = (each for batch in obstore.list(self._store, prefix or None) for each in batch)
            # A key that ends in "/" marks a folder.
            files = (ListedFile(each["path"], each["size"]) for each in objects if not each["path"].endswith("/"))
            return take_accepted(files, accept, limit)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise NoSuchFile("there is no such file") from None
    except (BaseError, OSError) as error:
        # Their texts contain the bucket and the endpoint.
        raise PlaceUnavailable(f"the place cannot be reached: {type(error).__name__}") from None
