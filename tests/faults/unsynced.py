"""The stack as it is, but that it does not wait until the disk has something: that which UNSYNCED names."""

import os
from collections.abc import Callable
from pathlib import Path

from services.common.db import engine
from services.common.infra.blobs import folder
from services.common.infra.process.startup import run
from services.stack.__main__ import main


def _originals() -> None:
    _no_blobs("source")


def _results() -> None:
    _no_blobs("result")


def _parts_of_uploads() -> None:
    _no_blobs("upload")


def _commits() -> None:
    write = engine.Database.write
    engine.Database.write = lambda self, durable=True: write(self, durable=False)  # type: ignore[method-assign,misc] # noqa: ARG005


def _emails() -> None:
    import mailbox

    from services.stack.embedded import mailbox as server

    mailbox._sync_close = lambda file: file.close()  # type: ignore[attr-defined]
    setattr(server, "sync_folder", lambda _folder: None)  # noqa: B010 - not typed so


def _no_blobs(kind: str) -> None:
    sync = folder._sync_one

    def sync_others(path: Path) -> None:
        if path.is_dir() or path.parent.name != kind:
            sync(path)

    folder._sync_one = sync_others


KINDS: dict[str, Callable[[], None]] = {
    "originals": _originals,
    "results": _results,
    "parts of uploads": _parts_of_uploads,
    "commits": _commits,
    "e-mails": _emails,
}

if __name__ == "__main__":
    KINDS[os.environ["UNSYNCED"]]()
    run(main)
