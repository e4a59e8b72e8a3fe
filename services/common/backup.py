"""`python -m services.common.backup COPY.db`: copy the SQLite database of the settings while it is in use.

PostgreSQL has `pg_dump`. The blobs are copied after the database: see docs/operations.md.
"""

import argparse
import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import make_url

from services.common.domain.errors import ConfigurationError
from services.common.infra.process.startup import run
from services.common.infra.settings import CommonSettings


def copy(url: str, target: Path) -> None:
    """Copy the database as it is at one moment, while services write to it.

    Raises:
        ConfigurationError: It is not SQLite, or it or the folder of the target does not exist.
        FileExistsError: The target exists.
    """
    parsed = make_url(url)
    source = Path(parsed.database or "")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError("IMAGEBLUR_DATABASE_URL: is not SQLite; PostgreSQL is copied with pg_dump")
    if not source.is_file() or not target.parent.is_dir():
        raise ConfigurationError(f"IMAGEBLUR_DATABASE_URL: {source} or {target.parent} does not exist")
    if target.exists():
        raise FileExistsError(target)
    # Under another name until it is complete: half a copy must not look like a backup.
    draft = target.with_name(f"{target.name}.draft")
    draft.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(source)) as origin, contextlib.closing(sqlite3.connect(draft)) as new:
        origin.backup(new)
    draft.rename(target)


def main() -> None:
    """Copy to the file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m services.common.backup", description="Copy the SQLite database.")
    parser.add_argument("target", type=Path, help="a file that does not exist yet")
    target = parser.parse_args().target
    try:
        copy(CommonSettings.load().database_url, target)
    except FileExistsError:
        raise ConfigurationError(f"{target} exists") from None


if __name__ == "__main__":
    run(main)
