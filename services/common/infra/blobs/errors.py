"""Errors of the blob store."""

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, NotFoundError

from services.common.domain.errors import ImageBlurError, Unavailable


class MissingBlob(ImageBlurError):
    """There is no blob under this key."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise MissingBlob or Unavailable for errors of obstore and the operating system."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise MissingBlob(str(error)) from None
    except (BaseError, OSError) as error:
        raise Unavailable("the blob store cannot be reached or is full") from error
