"""The blob store: originals and results by key, in a folder or in S3, through obstore."""

from services.common.infra.blobs.errors import MissingBlob
from services.common.infra.blobs.store import CHUNK, BlobStore
from services.common.infra.blobs.writer import BlobWriter

__all__ = ["CHUNK", "BlobStore", "BlobWriter", "MissingBlob"]
