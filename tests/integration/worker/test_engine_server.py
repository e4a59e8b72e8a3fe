"""A program of its own that forks the child processes of blur workers, as in `make run`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import forkserver
from pathlib import Path
from socket import AF_UNIX
from socket import socket as AnySocket  # noqa: N812 - a fixture has its name

import psutil
import pytest

from services.blur_worker.child import engine_server
from services.blur_worker.child.pool import ChildPool
from services.common.domain.errors import Unavailable
from services.common.domain.spec import BlurSpec
from services.common.infra.process.fork_server import fork_elsewhere
from tests.support.blur_workers import LIMITS
from tests.support.images import encode, photo
from tests.support.waiting import eventually

SECRET = "of-the-service"


@contextmanager
def running(socket: Path, **variables: str) -> Iterator[psutil.Process]:
    command = (sys.executable, "-m", engine_server.__name__, str(socket))
    environment = os.environ | {"IMAGEBLUR_SECRET_KEY": SECRET} | variables
    with subprocess.Popen(command, env=environment, process_group=0) as process:
        yield psutil.Process(process.pid)
        process.terminate()


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(forkserver, "connect_to_new_process", forkserver.connect_to_new_process)
    fork_elsewhere(tmp_path / "socket", within=0.1)
    return tmp_path / "socket"


@pytest.fixture
def children() -> Iterator[ChildPool]:
    children = ChildPool(1, LIMITS)
    yield children
    children.close()


def blur(children: ChildPool, folder: Path) -> psutil.Process:
    """Blur an image; return the process that has done it."""
    (folder / "original").write_bytes(encode(photo(40, 30), "PNG"))
    assert children.blur(folder / "original", folder / "result", BlurSpec()).width == 40
    process = children._slots[0]._process
    assert process
    return psutil.Process(process.pid)


def test_its_forks_are_of_the_workers_group_and_have_none_of_its_settings(
    socket: Path, children: ChildPool, tmp_path: Path
) -> None:
    with running(socket) as server:
        eventually(socket.exists)
        child = blur(children, tmp_path)
        assert child.parent() == server
        assert os.getpgid(child.pid) == os.getpgrp() != os.getpgid(server.pid)
        for process in (child, server):
            assert SECRET not in process.environ().values()
        assert socket.stat().st_mode & 0o077 == 0


def test_a_variable_that_every_python_sets_at_its_start_does_not_keep_it_from_serving(
    socket: Path, children: ChildPool, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['ADDED'] = 'by the system'")
    path = os.pathsep.join((str(tmp_path), *sys.path))
    with running(socket, PYTHONPATH=path) as server:
        eventually(socket.exists)
        assert blur(children, tmp_path).parent() == server


def test_while_it_is_away_a_start_fails_and_the_next_server_is_used(
    socket: Path, children: ChildPool, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="does not start"):
        blur(children, tmp_path)
    for _ in range(2):  # the second finds the first one's socket
        with running(socket) as server:
            fork_elsewhere(socket)  # waits for it
            assert blur(children, tmp_path).parent() == server
            children.stop_unused(0)


def test_a_start_that_waits_for_it_takes_nothing_from_the_worker(socket: Path) -> None:
    before = dict(os.environ)
    pools = [ChildPool(1, LIMITS) for _ in range(2)]
    with ThreadPoolExecutor(len(pools)) as threads, AnySocket(AF_UNIX) as server, ExitStack() as waiting:
        server.bind(str(socket))
        server.listen()
        server.settimeout(30)
        starts = [threads.submit(pool.start) for pool in pools]
        for _ in pools:  # neither waits for the other
            waiting.enter_context(server.accept()[0])
        assert dict(os.environ) == before
        waiting.close()
        for start in starts:
            with pytest.raises(Unavailable, match="does not start"):
                start.result(60)
