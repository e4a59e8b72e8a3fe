"""Remembers on this machine which uploads `imageblur order` has not finished, so that --resume finds them."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KEPT_SECONDS = 48 * 3600
"""The server forgets an upload earlier."""


@dataclass(frozen=True)
class UnfinishedOrder:
    """The order of these files with these options; a file remembers its request ID until it is accepted."""

    path: Path

    @classmethod
    def of(cls, server: str, files: Sequence[Path], options: object) -> "UnfinishedOrder":
        """Return that of the files as they are now; changed ones are other files."""
        states = [(os.path.abspath(path), (state := path.stat()).st_size, state.st_mtime_ns) for path in files]  # noqa: PTH100 - not through links
        key = hashlib.sha256(json.dumps([server, states, options]).encode()).hexdigest()[:32]
        return cls(_folder() / f"{key}.json")

    def request_id(self) -> str | None:
        """Return the request ID of the unfinished upload; None if there is none."""
        try:
            return str(json.loads(self.path.read_text("utf-8"))["request_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, request_id: str) -> None:
        """Remember the upload; a folder that cannot be written to is no error. Forgets those of days ago."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for other in self.path.parent.glob("*.json"):
                if other.stat().st_mtime < time.time() - KEPT_SECONDS:
                    other.unlink(missing_ok=True)
            self.path.write_text(json.dumps({"request_id": request_id}), "utf-8")

    def forget(self) -> None:
        """Forget the upload."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "imageblur" / "uploads"
