"""How a child process answers: as JSON and bytes. Pickled objects could make its parent run anything."""

import errno
import json
from typing import Any, Protocol, Self, TypeVar

from services.common.domain.errors import ImageError, Reason

MAX_BYTES = 128 << 20
"""Largest answer that is received; that of an instant call holds the result."""
_MAX_TEXT = 10_000
UNUSABLE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of a disk that is full or read-only: no fault of an image, which waits until the disk is well."""


class ModelMissing(Exception):
    """The spec asks for a model that this worker lacks; another one may have it."""


class BadAnswer(Exception):
    """The answer makes no sense: the child process is damaged, or somebody else's."""


class ChildAnswer(Protocol):
    """What a child process has made of an image."""

    @property
    def width(self) -> int:
        """Width of the image in pixels; `height` likewise."""

    @property
    def height(self) -> int:
        """See `width`."""

    def to_values(self) -> tuple[dict[str, Any], bytes]:
        """Return the answer as values for JSON, and bytes."""

    @classmethod
    def from_values(cls, values: dict[str, Any], data: bytes) -> Self:
        """Return the answer of `to_values`; raises any exception if that is not what it is given."""


AnswerType = TypeVar("AnswerType", bound=ChildAnswer)


def encode_answer(answer: ChildAnswer | Exception) -> bytes:
    """Return an answer, or the error that took its place, as a line of JSON and bytes."""
    values, data = (_error_values(answer), b"") if isinstance(answer, Exception) else answer.to_values()
    return json.dumps(values).encode() + b"\n" + data


def decode_answer(encoded: bytes, kind: type[AnswerType]) -> AnswerType | Exception:
    """Return the answer, or the error in its place.

    Raises:
        BadAnswer: It is neither.
    """
    head, _, data = encoded.partition(b"\n")
    try:
        values = json.loads(head)
        return _error(values) if "error" in values else kind.from_values(values, data)
    except Exception as error:
        raise BadAnswer(repr(error)) from None


def _error_values(error: Exception) -> dict[str, Any]:
    match error:
        case ImageError():
            return {"error": "image", "reason": error.reason, "message": error.message}
        case MemoryError():
            return {"error": "memory"}
        case OSError():
            return {"error": "system", "number": error.errno, "message": error.strerror or str(error)}
        case ModelMissing():
            return {"error": "model", "message": str(error)}
        case _:
            return {"error": "fault", "message": str(error), "trace": "\n".join(getattr(error, "__notes__", ()))}


def _error(values: dict[str, Any]) -> Exception:
    message = str(values.get("message", ""))[:_MAX_TEXT]
    match values["error"]:
        case "image":
            return ImageError(Reason(values["reason"]), message)
        case "memory":
            return MemoryError()
        case "system":
            return OSError(values["number"], message)
        case "model":
            return ModelMissing(message)
    fault = RuntimeError(message)
    fault.add_note(str(values["trace"])[-_MAX_TEXT:])
    return fault
