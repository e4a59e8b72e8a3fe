"""Places over a real folder and a real S3 server: what is read, written and listed, and what leads nowhere."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.common.infra.places import NoSuchFile, Places, PlaceUnavailable
from services.common.infra.places.stores import PlaceStore
from tests.support.s3 import S3Server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "place"
    root.mkdir()
    return root


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> PlaceStore:
    location = str(root)
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        location = server.address()
    found = Places.of({"p": location}).find("p")
    assert found
    return found


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "content"
    path.write_bytes(content)
    return path


def everything(_key: str) -> bool:
    return True


def test_what_is_written_is_read_and_listed(place: PlaceStore, tmp_path: Path) -> None:
    large = os.urandom(3_000_000)
    for key, content in (("b/ü 1.jpg", b"one"), ("a.jpg", large), ("b/c/d.jpg", b""), ("bc.jpg", b"x")):
        place.write(key, file(tmp_path, content))
    assert b"".join(place.read("a.jpg")) == large
    assert b"".join(place.read("b/ü 1.jpg")) == b"one"
    place.write("b/ü 1.jpg", file(tmp_path, b"another"))
    assert b"".join(place.read("b/ü 1.jpg")) == b"another"
    listed = place.list_files("", everything, 10)
    assert [(each.key, each.size) for each in listed] == [
        ("a.jpg", 3_000_000),
        ("b/c/d.jpg", 0),
        ("b/ü 1.jpg", 7),
        ("bc.jpg", 1),
    ]
    assert [each.key for each in place.list_files("b/", everything, 10)] == ["b/c/d.jpg", "b/ü 1.jpg"]
    assert [each.key for each in place.list_files("", lambda key: key.startswith("a"), 10)] == ["a.jpg"]
    assert len(place.list_files("", everything, 2)) == 3  # one more: there are too many
    assert place.list_files("nothing/", everything, 10) == []


def test_what_is_not_there_is_said_so(place: PlaceStore, tmp_path: Path) -> None:
    place.write("b/a.jpg", file(tmp_path, b"x"))
    for key in ("a.jpg", "b/c.jpg", "b/a.jpg/c", "x/y.jpg"):
        with pytest.raises(NoSuchFile):
            b"".join(place.read(key))


@pytest.fixture
def folder(root: Path) -> PlaceStore:
    found = Places.of({"p": str(root)}).find("p")
    assert found
    return found


def test_links_are_not_followed(folder: PlaceStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "folder").symlink_to(outside)
    (root / "inner.jpg").write_bytes(b"inner")
    (root / "also.jpg").symlink_to("inner.jpg")
    for key in ("link.jpg", "folder/secret.jpg", "also.jpg"):
        with pytest.raises(NoSuchFile, match="symbolic link"):
            b"".join(folder.read(key))
    assert [each.key for each in folder.list_files("", everything, 10)] == ["inner.jpg"]
    assert folder.list_files("folder/", everything, 10) == []
    with pytest.raises(NoSuchFile):
        folder.write("folder/new.jpg", file(tmp_path, b"x"))
    folder.write("link.jpg", file(tmp_path, b"x"))  # replaces the link, not what it leads to
    assert (outside / "secret.jpg").read_bytes() == b"secret"
    assert not (root / "link.jpg").is_symlink()
    assert sorted(path.name for path in outside.iterdir()) == ["secret.jpg"]


def test_only_regular_files_are_read(folder: PlaceStore, root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")
    (root / "folder.jpg").mkdir()
    for key in ("pipe.jpg", "folder.jpg"):
        with pytest.raises((NoSuchFile, PlaceUnavailable)):
            b"".join(folder.read(key))
    assert folder.list_files("", everything, 10) == []


def test_a_file_is_written_whole_or_not_at_all(folder: PlaceStore, root: Path, tmp_path: Path) -> None:
    with pytest.raises(PlaceUnavailable):
        folder.write("a.jpg", tmp_path / "missing")
    assert list(root.iterdir()) == []


def test_a_file_and_its_new_folders_survive_a_power_cut(
    folder: PlaceStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"blurred")
    fsync, synced = os.fsync, list[Path]()

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", record)
    folder.write("a/b/photo.jpg", file)
    assert synced[:2] == [root, root / "a"], "before what is in the new folders"
    assert synced[2].parent == synced[3] == root / "a" / "b"


def test_a_place_that_is_gone_is_unavailable(
    folder: PlaceStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.rmdir()
    calls: list[Callable[[PlaceStore], object]] = [
        lambda place: b"".join(place.read("a.jpg")),
        lambda place: place.write("a.jpg", file(tmp_path, b"x")),
        lambda place: place.list_files("", everything, 1),
    ]
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    bucket = Places.of({"b": "s3://key:topsecret@bucket/prefix"}).find("b")
    assert bucket
    for call in calls:
        with pytest.raises(PlaceUnavailable):
            call(folder)
    with pytest.raises(PlaceUnavailable) as caught:
        calls[0](bucket)
    assert "topsecret" not in str(caught.value)
    assert "bucket" not in str(caught.value)
