"""A blob store in S3."""

from collections.abc import Iterator

import pytest

from services.common.infra.blobs import BlobStore
from tests.support.s3 import S3Server


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store; its endpoint is in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.address()


@pytest.fixture
def store(s3_url: str, s3_server: S3Server) -> Iterator[BlobStore]:
    """An empty store; in the end nobody is in the midst of an upload."""
    yield BlobStore(s3_url)
    assert s3_server.unfinished_uploads() == []
