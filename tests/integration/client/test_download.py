import os
from pathlib import Path

import grpc
import pytest
from imageblur.v1.blur_service_pb2 import DownloadImagesRequest, DownloadImagesResponse, FileStart
from imageblur_client import BrokenDownloadError, Client, FailedPreconditionError, ServerUnavailableError

from tests.integration.client.messages import ORDER_ID, file
from tests.integration.client.scripted import ScriptedServer, failure, unavailable


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_whole_under_their_names(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("blur_cat.jpg", b"cat" * 1000), *file("blur_пёс.png", b"dog"), *file("e", b""))
    received: list[int] = []
    finished: list[Path] = []

    saved = client.download(
        ORDER_ID, tmp_path / "new" / "out", image_ids=["i1"], on_bytes=received.append, on_file=finished.append
    )

    assert _tree(tmp_path) == {"new/out/blur_cat.jpg": b"cat" * 1000, "new/out/blur_пёс.png": b"dog", "new/out/e": b""}
    assert saved == finished
    assert [path.name for path in saved] == ["blur_cat.jpg", "blur_пёс.png", "e"]
    assert sum(received) == 3003
    assert server.requests["DownloadImages"] == [[DownloadImagesRequest(order_id=ORDER_ID, image_ids=["i1"])]]


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("../../x", "x"),
        ("/no-such-folder/passwd", "passwd"),
        ("..\\..\\x.png", "x.png"),
        ("..", "image"),
        ("", "image"),
        (".bashrc", "bashrc"),
        ("a\x1b[2Jb\n.png", "a_[2Jb_.png"),
        ("CON:evil", "CON_evil"),
    ],
)
def test_a_hostile_name_stays_in_the_folder(
    server: ScriptedServer, client: Client, tmp_path: Path, hostile: str, harmless: str
) -> None:
    server.on("DownloadImages", *file(hostile, b"content"))

    client.download(ORDER_ID, tmp_path / "a" / "b")

    assert _tree(tmp_path) == {f"a/b/{harmless}": b"content"}


def test_names_that_become_the_same_are_told_apart(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("x/cat.jpg", b"1"), *file("y/cat.jpg", b"2"), *file("CAT.jpg", b"3"))

    client.download(ORDER_ID, tmp_path)

    assert _tree(tmp_path) == {"cat.jpg": b"1", "cat-2.jpg": b"2", "CAT-3.jpg": b"3"}


def test_a_link_in_the_folder_is_not_followed(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "cat.jpg").symlink_to(outside)
    server.on("DownloadImages", *file("cat.jpg", b"theirs"))

    client.download(ORDER_ID, folder, replace=True)

    assert outside.read_bytes() == b"mine"
    assert (folder / "cat.jpg").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "parts",
    [
        file("cat.jpg", b"content", sha256=bytes(32)),
        file("cat.jpg", b"content", sha256=b"")[:-1],
        [DownloadImagesResponse(chunk=b"no file")],
    ],
    ids=["sha256", "size", "no start"],
)
def test_nothing_is_kept_of_a_file_that_arrives_broken(
    server: ScriptedServer, client: Client, tmp_path: Path, parts: list[DownloadImagesResponse]
) -> None:
    server.on("DownloadImages", *parts)

    with pytest.raises(BrokenDownloadError):
        client.download(ORDER_ID, tmp_path)

    assert _tree(tmp_path) == {}


def test_files_before_a_break_stay(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("a.png", b"whole"), *file("b.png", b"part")[:-1], unavailable(1))

    with pytest.raises(ServerUnavailableError):
        client.download(ORDER_ID, tmp_path)

    assert _tree(tmp_path) == {"a.png": b"whole"}


def test_another_file_of_that_name_is_replaced_only_on_demand(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"precious")
    for _ in range(3):
        server.on("DownloadImages", *file("a.png", b"new"))

    with pytest.raises(FileExistsError):
        client.download(ORDER_ID, tmp_path)
    assert _tree(tmp_path) == {"a.png": b"precious"}
    client.download(ORDER_ID, tmp_path, replace=True)
    client.download(ORDER_ID, tmp_path)  # The same content: fetching twice is no conflict.
    assert _tree(tmp_path) == {"a.png": b"new"}


def test_files_get_the_usual_permissions(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("a.png", b"new"))
    mask = os.umask(0o027)
    try:
        (saved,) = client.download(ORDER_ID, tmp_path)
    finally:
        os.umask(mask)

    assert saved.stat().st_mode & 0o777 == 0o640


def test_no_folder_is_made_for_an_order_that_is_refused(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", failure(grpc.StatusCode.FAILED_PRECONDITION, "the order has expired", "ORDER_EXPIRED"))

    with pytest.raises(FailedPreconditionError):
        client.download(ORDER_ID, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_an_archive_goes_where_it_is_told(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    start = DownloadImagesResponse(file=FileStart(filename="../../evil.zip", media_type="application/zip"))
    chunks = [DownloadImagesResponse(chunk=b"PK"), DownloadImagesResponse(chunk=b"..")]
    server.on("DownloadImages", start, *chunks)

    saved = client.download_archive(ORDER_ID, tmp_path / "mine.zip")

    assert saved == tmp_path / "mine.zip"
    assert _tree(tmp_path) == {"mine.zip": b"PK.."}
    assert server.requests["DownloadImages"] == [[DownloadImagesRequest(order_id=ORDER_ID, archive=True)]]


def _start(etag: str, size: int) -> DownloadImagesResponse:
    return DownloadImagesResponse(file=FileStart(filename="x.zip", etag=etag, size_bytes=size))


def test_an_archive_goes_on_where_it_broke_off(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("DownloadImages", _start("v1", 6), DownloadImagesResponse(chunk=b"PK12"), unavailable(0.1))
    server.on("DownloadImages", unavailable(0.1))
    server.on("DownloadImages", _start("v1", 6), DownloadImagesResponse(chunk=b"34"), unavailable(0.1))

    client.download_archive(ORDER_ID, tmp_path / "mine.zip")

    assert _tree(tmp_path) == {"mine.zip": b"PK1234"}
    offsets = [request.offset for (request,) in server.requests["DownloadImages"]]  # type: ignore[attr-defined]
    assert offsets == [0, 4, 4]


def test_an_archive_that_has_changed_meanwhile_is_not_patched_together(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    server.on("DownloadImages", _start("v1", 6), DownloadImagesResponse(chunk=b"PK12"), unavailable(0.1))
    server.on("DownloadImages", _start("v2", 8), DownloadImagesResponse(chunk=b"3456"))

    with pytest.raises(BrokenDownloadError, match="has changed"):
        client.download_archive(ORDER_ID, tmp_path / "mine.zip")

    assert _tree(tmp_path) == {}


def test_an_archive_that_breaks_off_leaves_nothing(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    start = DownloadImagesResponse(file=FileStart(filename="x.zip"))
    server.on("DownloadImages", start, DownloadImagesResponse(chunk=b"PK"), unavailable(1))
    server.on("DownloadImages")

    with pytest.raises(ServerUnavailableError):
        client.download_archive(ORDER_ID, tmp_path / "mine.zip")
    with pytest.raises(BrokenDownloadError, match="no archive"):
        client.download_archive(ORDER_ID, tmp_path / "mine.zip")

    assert _tree(tmp_path) == {}
