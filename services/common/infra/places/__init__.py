"""Folders and buckets that the operator has named, for sources and results."""

from services.common.infra.places.places import Places
from services.common.infra.places.stores import ListedFile, NoSuchFile, PlaceUnavailable

__all__ = ["ListedFile", "NoSuchFile", "PlaceUnavailable", "Places"]
