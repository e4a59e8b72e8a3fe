"""Databases with finished orders for benchmarks, of SQLite or PostgreSQL; kept in a folder, they are written once."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from services.common import migrations
from services.common.db.engine import Database
from tests.support.postgres import PostgresServer
from tests.support.seed import Seed, seed_orders

_POSTGRESQL = {"max_connections": "200"}
"""Everything else is PostgreSQL's default: commits wait for the disk, autovacuum runs."""


@contextmanager
def seeded_databases(kind: str, folder: Path | None, seeds: Mapping[str, Seed]) -> Iterator[tuple[Path, list[str]]]:
    """Make databases, or take those that an earlier run has left in the folder.

    Args:
        kind: `sqlite` or `postgresql`.
        folder: Where they are kept; None: in a temporary folder.
        seeds: What is in each, by its name.

    Yields:
        A folder for a stack of each, and the databases' addresses.
    """
    if folder is None:
        with TemporaryDirectory(prefix="imageblur-") as temporary, seeded_databases(kind, Path(temporary), seeds) as it:
            yield it
        return
    folder = folder.resolve() / kind
    for name in seeds:
        (folder / name).mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        urls = [f"sqlite:///{folder}/{name}/imageblur.db" for name in seeds]
        _seed(folder, urls, seeds)
        yield folder, urls
        return
    server = PostgresServer(folder, _POSTGRESQL)
    server.start()
    try:
        urls = [server.url(name) for name in seeds]
        for name in seeds:
            if not (folder / name / "seeded").exists():
                server.drop_database(name)
                server.create_database(name=name)
        _seed(folder, urls, seeds)
        yield folder, urls
    finally:
        server.close()


def _seed(folder: Path, urls: list[str], seeds: Mapping[str, Seed]) -> None:
    for url, (name, seed) in zip(urls, seeds.items(), strict=True):
        database, written, begin = Database(url), folder / name / "seeded", time.monotonic()
        migrations.upgrade(database)
        if not written.exists():
            seed_orders(database, seed, progress=lambda done: print(f"\rseeded {done:,}", end="", flush=True))
            print(f" orders of {name!r} in {time.monotonic() - begin:.0f} s")
            written.write_text(repr(seed))
        elif written.read_text() != repr(seed):
            raise SystemExit(f"{folder / name} has {written.read_text()}, not {seed}: name another folder")
        database.close()
