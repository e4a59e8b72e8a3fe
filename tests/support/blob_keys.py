"""What a blob store holds, pieces of unfinished blobs included if it is a folder."""

import obstore

from services.common.infra.blobs import BlobStore
from tests.support.files import files_below

SCRATCH = "imageblur-scratch-"
"""How the workers' own folders there are called."""


def blob_keys(store: BlobStore) -> list[str]:
    """All keys, sorted."""
    if store.folder:
        keys = [path.relative_to(store.folder).as_posix() for path in files_below(store.folder)]
        return [key for key in keys if not key.startswith(SCRATCH)]
    return sorted(blob["path"] for batch in obstore.list(store._store) for blob in batch)
