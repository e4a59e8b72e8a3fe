"""Blobs in a folder: files that are moved in, and what is told to the disk."""

import errno
import os
from pathlib import Path

import pytest

from services.common.domain.errors import Unavailable
from services.common.infra.blobs import BlobStore, MissingBlob

KEY = "orders/x/result/000001"


def test_a_file_is_moved_in_whole(blobs: BlobStore, tmp_path: Path) -> None:
    file = tmp_path / "result"
    file.write_bytes(b"result")
    inode = file.stat().st_ino
    blobs.store_file(KEY, file)
    stored = blobs.local_path(KEY)
    assert stored
    assert (stored.read_bytes(), stored.stat().st_ino) == (b"result", inode), "it was moved, not copied"
    with pytest.raises(MissingBlob):
        blobs.store_file(KEY, file)


def test_no_file_is_moved_to_where_a_store_is_not_mounted(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"result")
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        blobs.store_file(KEY, tmp_path / "result")
    assert not (tmp_path / "blobs").exists()


def test_files_and_their_folder_are_synced_each_time_and_what_is_above_a_new_folder_once(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )

    def persisted(*keys: str) -> list[str]:
        synced.clear()
        for key in keys:
            blobs.put(key, b"1")
        blobs.persist(*keys)
        return sorted(str(Path(path).relative_to(tmp_path)) for path in synced)

    above = ["blobs", "blobs/orders", "blobs/orders/x"]
    assert persisted(KEY) == [*above, "blobs/orders/x/result", f"blobs/{KEY}"]
    assert persisted(KEY) == ["blobs/orders/x/result", f"blobs/{KEY}"]
    # Another order's folder is an entry in one that has been synced before.
    new = ["blobs/orders", "blobs/orders/y", "blobs/orders/y/result", "blobs/orders/y/result/000001"]
    assert persisted("orders/y/result/000001") == new
    assert persisted("orders/y/result/000002") == ["blobs/orders/y/result", "blobs/orders/y/result/000002"]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_file_that_is_missing_is_reported_however_many_are_synced(blobs: BlobStore, count: int) -> None:
    keys = [f"orders/x/result/{position:06d}" for position in range(1, count + 1)]
    for key in keys:
        blobs.put(key, b"1")
    blobs.persist(*keys)
    blobs.delete(keys[-1])
    with pytest.raises(MissingBlob):
        blobs.persist(*keys)
    blobs.persist()


def test_an_error_of_the_disk_is_reported_rather_than_a_missing_file(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, broken = os.fsync, "orders/x/result/000002"

    def fail_for_one(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().match(broken):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    blobs.put(broken, b"1")
    monkeypatch.setattr(os, "fsync", fail_for_one)
    with pytest.raises(Unavailable):
        blobs.persist("orders/x/result/000001", broken)
