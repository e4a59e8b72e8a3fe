"""The places of a service by name, made from its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from services.common.infra.blobs.store import s3_store
from services.common.infra.places.bucket import BucketPlace
from services.common.infra.places.folder import FolderPlace
from services.common.infra.places.stores import PlaceStore


class Places:
    """Places by name."""

    def __init__(self, stores: Mapping[str, PlaceStore]) -> None:
        self._stores = stores

    @classmethod
    def of(cls, locations: Mapping[str, str]) -> Self:
        """Return the places at these locations: folders, or S3 URLs. Nothing is connected to yet.

        Raises:
            ValueError: A location is malformed.
        """
        return cls({name: _store(location) for name, location in locations.items()})

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._stores)

    def find(self, name: str) -> PlaceStore | None:
        """Return a place; None if the operator has named none so."""
        return self._stores.get(name)


def _store(location: str) -> PlaceStore:
    return BucketPlace(s3_store(location)) if location.startswith("s3://") else FolderPlace(Path(location))
