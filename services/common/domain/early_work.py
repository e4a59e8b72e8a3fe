"""Early work: images are blurred while the upload of their order goes on. Tasks and results."""

import json
from dataclasses import dataclass

from services.common.domain.findings import Inspection
from services.common.domain.spec import Format


@dataclass(frozen=True, kw_only=True)
class EarlyTask:
    """An image of an upload whose original is stored."""

    position: int
    """In its order, from 1."""
    spec: str
    """As JSON."""

    def to_json(self) -> str:
        """Return the task as JSON."""
        return json.dumps([self.position, self.spec])

    @classmethod
    def from_json(cls, text: str | bytes) -> "EarlyTask":
        """Return the task that `to_json` wrote."""
        position, spec = json.loads(text)
        return cls(position=position, spec=spec)


@dataclass(frozen=True, kw_only=True)
class EarlyResult:
    """A stored result; sizes in bytes and pixels, `sha256` as hex."""

    size: int
    sha256: str
    crc32: int | None
    width: int
    height: int
    format: str
    engine: str
    """What blurred it, with its version."""
    worker: str
    """Host and process id of the worker, as `host/pid`."""
    seconds: float
    """How long the attempt took."""
    inspection: Inspection | None = None
    """What was found; None if nothing was to be found."""

    def to_json(self) -> str:
        """Return the result as JSON."""
        return json.dumps(vars(self) | {"inspection": self.inspection and self.inspection.to_json()})

    @classmethod
    def from_json(cls, text: str | bytes) -> "EarlyResult":
        """Return the result that `to_json` wrote."""
        values = json.loads(text)
        inspection = values.pop("inspection")
        return cls(
            **values | {"format": Format(values["format"])},
            inspection=inspection and Inspection.from_json(inspection),
        )
