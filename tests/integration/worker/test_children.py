"""Children that crash, hang or grow: the worker lives on, and the next image is blurred."""

import ctypes
import errno
import io
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from services.blur_worker.child import ChildLimits, Facts, Task
from services.blur_worker.children import ChildCrashed, Children
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.spec import BlurSpec, Format
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    """One pool, which each test leaves fit for the next: to load the engine takes a child seconds."""
    children = Children(1, ChildLimits(seconds=2, memory=1024, max_pixels=1000), _misbehave)
    children.warm_up()
    yield children
    children.close()


FINE = Facts(1, "", 1, 1, Format.PNG, "none")


def _misbehave(task: Task, _: ChildLimits) -> Facts:
    """What a hostile image might make a decoder do."""
    match task.source.read_bytes():
        case b"segfault":
            ctypes.string_at(0)
        case b"hang":
            time.sleep(60)
        case b"grow":
            bytearray(2 << 30)
        case b"fill":
            raise OSError(errno.ENOSPC, "no space left on device")
    return FINE


def blur(children: Children, tmp_path: Path, data: bytes) -> Facts:
    (tmp_path / "source").write_bytes(data)
    return children.blur(tmp_path / "source", tmp_path / "target", BlurSpec())


def test_a_crash_is_told_apart_and_the_child_replaced(children: Children, tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed):
        blur(children, tmp_path, b"segfault")
    assert blur(children, tmp_path, b"") == FINE


def test_a_disk_that_is_full_is_none_of_the_image_s_fault(children: Children, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        blur(children, tmp_path, b"fill")
    assert blur(children, tmp_path, b"") == FINE


def test_an_image_does_not_wait_for_long_for_children_that_are_busy(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hang").write_bytes(b"hang")
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(children.blur, tmp_path / "hang", tmp_path / "target", BlurSpec(), begun.set)
        assert begun.wait(60)
        monkeypatch.setattr("services.blur_worker.children.PATIENCE_SECONDS", 0.1)
        with pytest.raises(Unavailable):
            blur(children, tmp_path, b"")
        assert isinstance(busy.exception(timeout=60), ImageError)
    assert blur(children, tmp_path, b"") == FINE


def test_a_hang_ends_at_the_deadline(children: Children, tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(ImageError) as caught:
        blur(children, tmp_path, b"hang")
    assert caught.value.reason is Reason.TIMED_OUT
    assert time.monotonic() - begin < 30
    assert blur(children, tmp_path, b"") == FINE


def test_an_image_that_needs_too_much_memory_fails(children: Children, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        blur(children, tmp_path, b"grow")
    assert caught.value.reason is Reason.TOO_LARGE


def test_an_answer_that_nobody_waited_for_is_not_the_next_task_s(children: Children, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"")

    def fail() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        children.blur(tmp_path / "source", tmp_path / "target", BlurSpec(), fail)
    with pytest.raises(ChildCrashed):
        blur(children, tmp_path, b"segfault")


def test_a_child_that_dies_idle_is_no_image_s_fault(children: Children, tmp_path: Path) -> None:
    children.warm_up()
    for _ in range(2):
        (child,) = processes(children)
        kill(child)
        assert blur(children, tmp_path, b"") == FINE


def test_a_child_that_dies_idle_beside_one_at_work(tmp_path: Path) -> None:
    children = Children(2, ChildLimits(seconds=20, memory=1024, max_pixels=1000), _name_and_wait)
    children.warm_up()
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(children.blur, tmp_path / "end", tmp_path / "pid", BlurSpec())
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        busy = int((tmp_path / "pid").read_text())
        (idle,) = [process for process in processes(children) if process.pid != busy]
        kill(idle)
        (tmp_path / "end").touch()
        assert begun.result(timeout=60) == FINE
        assert children.blur(tmp_path / "end", tmp_path / "pid", BlurSpec()) == FINE
    children.close()


def kill(child: psutil.Process) -> None:
    child.kill()
    # Not waited for with psutil, which would take the exit code that the pool looks for.
    eventually(lambda: child.pid not in [process.pid for process in multiprocessing.active_children()])


def processes(children: Children) -> list[psutil.Process]:
    return [psutil.Process(each._process.pid) for each in children._children if each._process]


def _name_and_wait(task: Task, _: ChildLimits) -> Facts:
    task.target.write_text(str(os.getpid()))
    eventually(task.source.exists)
    return FINE


def test_nothing_is_left_of_a_closed_pool(tmp_path: Path) -> None:
    children = Children(1, ChildLimits(seconds=20, memory=2048, max_pixels=1000))
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    before = set(psutil.Process().children(recursive=True))
    facts = blur(children, tmp_path, buffer.getvalue())
    assert (tmp_path / "target").stat().st_size == facts.size
    children.close()
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=10)
    # The resource tracker of multiprocessing stays for as long as this process does.
    assert [process for process in alive if "resource_tracker" not in " ".join(process.cmdline())] == []
