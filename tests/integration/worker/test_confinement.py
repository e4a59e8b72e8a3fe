"""What a decoder that is taken over can do: nothing but read its original, write its result, and answer."""

import json
import os
import pickle
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.child.process import BlurredFile, BlurTask, ChildLimits
from services.common.domain.spec import BlurSpec, Format

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confined on Linux only")
SECRET = "a secret of the service"


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    os.environ["IMAGEBLUR_SECRET_KEY"] = SECRET
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000), _attempt)
    children.start()
    del os.environ["IMAGEBLUR_SECRET_KEY"]
    yield children
    children.close()


def _attempt(task: BlurTask, _: ChildLimits) -> BlurredFile:
    """Do what the original asks for; the answer tells how that went."""
    what, argument = json.loads(task.read_original())
    try:
        told = str(_ATTEMPTS[what](argument))
    except OSError as error:
        told = f"refused: {error.strerror}"
    return BlurredFile(size=0, sha256="", width=1, height=1, format=Format.PNG, path=told)


def _connect(address: str) -> object:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=1)


def _signal_group(_: str) -> object:
    os.killpg(0, 0)
    return "signalled"


def _execute(_: str) -> object:
    return os.execv("/bin/true", ["true"])


def _kinds_of_descriptors(_: str) -> object:
    kinds = []
    for descriptor in range(256):
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            continue
        kinds.append("file" if stat.S_ISREG(mode) else "socket" if stat.S_ISSOCK(mode) else "other")
    return sorted(kinds[3:])  # after the standard ones


class _Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


def _answer_pickled(path: str) -> object:
    (pipe,) = [
        descriptor
        for descriptor in range(3, 256)
        if _is_open(descriptor) and stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    ]
    answer = pickle.dumps(_Touch(path))
    os.write(pipe, len(answer).to_bytes(4, "big") + answer)
    return "sent"


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


_ATTEMPTS: dict[str, Callable[[str], object]] = {
    "read": lambda path: Path(path).read_bytes()[:20],
    "list": lambda path: list(Path(path).iterdir()),
    "write": lambda path: Path(path).write_bytes(b"here"),
    "remove": lambda path: Path(path).unlink(),
    "socket": lambda _: socket.socket(socket.AF_INET),
    "connect": _connect,
    "signal its parent": lambda pid: os.kill(int(pid), 0),
    "signal its group": _signal_group,
    "execute": _execute,
    "fork": lambda _: os.fork(),
    "descriptors": _kinds_of_descriptors,
    "environment": lambda _: sorted(os.environ),
    "answer pickled": _answer_pickled,
}


def attempt(children: ChildPool, folder: Path, what: str, argument: object = "") -> str:
    """How it went."""
    (folder / "original").write_text(json.dumps([what, str(argument)]))
    return children.blur(folder / "original", folder / "result", BlurSpec()).path


def test_it_opens_no_file_of_the_service(children: ChildPool, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "blobs").mkdir(parents=True)
    for name in ("imageblur.db", "secret_key", "blobs/another_orders_original"):
        (data / name).write_text("private")
        assert attempt(children, tmp_path, "read", data / name) == "refused: Permission denied"
        assert attempt(children, tmp_path, "write", data / name) == "refused: Permission denied"
        assert attempt(children, tmp_path, "remove", data / name) == "refused: Permission denied"
    assert attempt(children, tmp_path, "list", data) == "refused: Permission denied"
    assert attempt(children, tmp_path, "write", tmp_path / "new") == "refused: Permission denied"
    assert attempt(children, tmp_path, "read", "/etc/passwd") == "refused: Permission denied"


def test_it_does_not_see_other_processes(children: ChildPool, tmp_path: Path) -> None:
    for name in ("environ", "maps", "mem", "fd/0"):
        assert attempt(children, tmp_path, "read", f"/proc/{os.getpid()}/{name}") == "refused: Permission denied"
    assert attempt(children, tmp_path, "signal its parent", os.getpid()) == "refused: Operation not permitted"
    assert attempt(children, tmp_path, "signal its group") == "refused: Operation not permitted"


def test_it_starts_nothing(children: ChildPool, tmp_path: Path) -> None:
    assert attempt(children, tmp_path, "execute") == "refused: Operation not permitted"
    assert attempt(children, tmp_path, "fork") == "refused: Operation not permitted"


def test_it_has_no_network(children: ChildPool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        assert attempt(children, tmp_path, "socket") == "refused: Operation not permitted"
        assert attempt(children, tmp_path, "connect", f"{host}:{port}") == "refused: Operation not permitted"


def test_it_has_its_two_files_and_its_pipe(children: ChildPool, tmp_path: Path) -> None:
    assert attempt(children, tmp_path, "descriptors") == "['file', 'file', 'socket']"


def test_its_environment_has_no_secret(children: ChildPool, tmp_path: Path) -> None:
    names = attempt(children, tmp_path, "environment")
    assert "PATH" in names
    assert "IMAGEBLUR_SECRET_KEY" not in names
    (process,) = [slot._process for slot in children._slots]
    assert process
    assert SECRET.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_what_it_answers_is_never_run(children: ChildPool, tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed, match="bad answer"):
        attempt(children, tmp_path, "answer pickled", tmp_path / "made")
    assert not (tmp_path / "made").exists()
    assert attempt(children, tmp_path, "descriptors") == "['file', 'file', 'socket']"
