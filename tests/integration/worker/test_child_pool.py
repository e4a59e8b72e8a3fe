"""Child processes that crash, hang or grow: the worker survives, and the next image is blurred."""

import ctypes
import errno
import mmap
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL.PngImagePlugin import PngInfo

from services.blur_worker.child import pool as pool_module
from services.blur_worker.child.answers import UNUSABLE_DISK, ModelMissing
from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.child.process import BlurredFile, BlurTask, ChildLimits, FindLimits
from services.blur_worker.instant.child_work import InstantResult, run_instant
from services.blur_worker.instant.direct_listener import DirectListener
from services.blur_worker.instant.lifecycle import IDLE_SECONDS, InstantChildren
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.instant import InstantKind, InstantRequest
from services.common.domain.spec import BlurSpec, Find, FindingKind, Format
from tests.support.blur_workers import LIMITS
from tests.support.images import encode, encode_frames, frames, photo
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """One pool, which each test leaves fit for the next: to load the engine takes a child seconds."""
    children = ChildPool(1, ChildLimits(seconds=30, memory_mb=1024, max_pixels=1000), _misbehave)
    children.start()
    yield children
    children.close()


@contextmanager
def limited_to(children: ChildPool, seconds: int) -> Iterator[None]:
    """Let an image take so many seconds at most until the block ends."""
    (slot,) = children._slots
    before, slot._limits = slot._limits, replace(slot._limits, seconds=seconds)
    try:
        yield
    finally:
        slot._limits = before


FINE = BlurredFile(size=1, sha256="", width=1, height=1, format=Format.PNG, path="none")


HELPERS = re.compile("resource_tracker|forkserver")
"""Of multiprocessing: they stay for as long as this process does."""
FIND = BlurSpec(find=(Find(kind=FindingKind.FACE),))


def _misbehave(task: BlurTask, _: ChildLimits) -> BlurredFile:  # noqa: C901 - a case each
    """What a hostile image might make a decoder do."""
    match task.read_original():
        case b"segfault":
            ctypes.string_at(0)
        case b"hang":
            time.sleep(60)
        case b"grow":
            bytearray(2 << 30)
        case b"reserve":
            try:
                mmap.mmap(-1, 2 << 30).close()
            except OSError as error:
                raise MemoryError from error
        case b"name":
            return replace(
                FINE, path=" ".join(os.environ[name] for name in ("OMP_NUM_THREADS", "ORT_DISABLE_TELEMETRY"))
            )
        case b"take long":
            time.sleep(3)
        case b"lack":
            raise ModelMissing("no model for FACE")
        case b"fill":
            raise OSError(errno.ENOSPC, "no space left on device")
        case b"read-only":
            raise OSError(errno.EROFS, "read-only file system")
    return FINE


def blur(children: ChildPool, tmp_path: Path, data: bytes, spec: BlurSpec = BlurSpec()) -> BlurredFile:  # noqa: B008
    (tmp_path / "source").write_bytes(data)
    return children.blur(tmp_path / "source", tmp_path / "target", spec)


def test_a_crash_is_detected_and_the_child_replaced(children: ChildPool, tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed):
        blur(children, tmp_path, b"segfault")
    assert blur(children, tmp_path, b"") == FINE


@pytest.mark.parametrize("trouble", ["fill", "read-only"])
def test_an_unusable_disk_is_told_as_it_is(children: ChildPool, tmp_path: Path, trouble: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what matters
        blur(children, tmp_path, trouble.encode())
    assert caught.value.errno in UNUSABLE_DISK
    assert blur(children, tmp_path, b"") == FINE


def test_an_image_waits_a_limited_time_for_busy_children(
    children: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hang").write_bytes(b"hang")
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(children.blur, tmp_path / "hang", tmp_path / "target", BlurSpec(), begun.set)
        assert begun.wait(60)
        with monkeypatch.context() as patch:
            patch.setattr("services.blur_worker.child.pool.WAIT_SECONDS", 0.1)
            with pytest.raises(Unavailable):
                blur(children, tmp_path, b"")
        (child,) = processes(children)
        child.kill()
        assert isinstance(busy.exception(timeout=60), ChildCrashed)
    assert blur(children, tmp_path, b"") == FINE


def test_a_hang_ends_at_the_deadline(children: ChildPool, tmp_path: Path) -> None:
    begin = time.monotonic()
    with limited_to(children, 2), pytest.raises(ImageError) as caught:
        blur(children, tmp_path, b"hang")
    assert caught.value.reason is Reason.TIMED_OUT
    assert time.monotonic() - begin < 30
    assert blur(children, tmp_path, b"") == FINE


@pytest.mark.parametrize("death", ["hang", "segfault", "grow"])
def test_a_child_that_died_is_replaced_before_the_next_task(children: ChildPool, tmp_path: Path, death: str) -> None:
    blur(children, tmp_path, b"")
    (before,) = processes(children)
    with limited_to(children, 2 if death == "hang" else 30), pytest.raises((ImageError, ChildCrashed)):
        blur(children, tmp_path, death.encode())
    eventually(lambda: children.count_alive() == 1)
    (after,) = processes(children)
    assert after != before
    assert blur(children, tmp_path, b"") == FINE
    assert processes(children) == [after]


def test_an_image_that_needs_too_much_memory_fails(children: ChildPool, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        blur(children, tmp_path, b"grow")
    assert caught.value.reason is Reason.TOO_LARGE


def test_an_answer_that_nobody_received_is_not_the_next_task_s(children: ChildPool, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"")

    def fail() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        children.blur(tmp_path / "source", tmp_path / "target", BlurSpec(), fail)
    with pytest.raises(ChildCrashed):
        blur(children, tmp_path, b"segfault")


def test_a_child_that_dies_idle_crashes_no_image(children: ChildPool, tmp_path: Path) -> None:
    children.start()
    for _ in range(2):
        (child,) = processes(children)
        kill(child)
        assert blur(children, tmp_path, b"") == FINE


def test_a_child_that_dies_idle_beside_a_busy_one(tmp_path: Path) -> None:
    children = ChildPool(2, ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000), _name_and_wait)
    children.start()
    with ThreadPoolExecutor(1) as pool:
        (tmp_path / "end").touch()
        begun = pool.submit(children.blur, tmp_path / "end", tmp_path / "pid", BlurSpec())
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        busy = int((tmp_path / "pid").read_text())
        (idle,) = [process for process in processes(children) if process.pid != busy]
        kill(idle)
        (tmp_path / "end").write_text("end")
        assert begun.result(timeout=60) == FINE
        assert children.blur(tmp_path / "end", tmp_path / "pid", BlurSpec()) == FINE
    children.close()


def kill(child: psutil.Process) -> None:
    child.kill()
    # Not waited for with psutil, which would take the exit code that the pool looks for.
    eventually(lambda: child.pid not in [process.pid for process in multiprocessing.active_children()])


def processes(children: ChildPool) -> list[psutil.Process]:
    return [psutil.Process(each._process.pid) for each in children._slots if each._process]


def _name_and_wait(task: BlurTask, _: ChildLimits) -> BlurredFile:
    task.write_result(str(os.getpid()).encode())
    eventually(task.read_original)
    return FINE


def test_a_closed_pool_leaves_no_process(tmp_path: Path) -> None:
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=2048, max_pixels=1000))
    before = set(psutil.Process().children(recursive=True))
    blurred = blur(children, tmp_path, encode(photo(4, 4), "PNG"))
    assert (tmp_path / "target").stat().st_size == blurred.size
    children.close()
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=10)
    assert [process for process in alive if not HELPERS.search(" ".join(process.cmdline()))] == []


def test_a_pool_is_closed_at_any_moment_of_a_restart(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    for moment in range(8):
        children = ChildPool(2, ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000), _misbehave)
        with pytest.raises(ChildCrashed):
            blur(children, tmp_path, b"segfault")
        time.sleep(moment * 0.008)  # a restart takes some 50 ms
        children.close()
        with pytest.raises(Unavailable):
            blur(children, tmp_path, b"")
    eventually(lambda: not restarts())
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=10)
    assert [process for process in alive if not HELPERS.search(" ".join(process.cmdline()))] == []


def test_a_process_whose_pool_was_closed_while_it_was_started_is_killed(tmp_path: Path) -> None:
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000), _misbehave)
    children.start()
    with pool_module._fork_lock:
        with pytest.raises(ChildCrashed):
            blur(children, tmp_path, b"segfault")
        (restart,) = restarts()
        (slot,) = children._slots
        eventually(lambda: slot._pipe and not slot._process)  # it is about to fork
        children.close()
        assert restart.is_alive(), "nothing waits for it"
    restart.join(60)
    assert not restart.is_alive()
    assert children.count_alive() == 0
    with pytest.raises(Unavailable, match="shutting down"):
        blur(children, tmp_path, b"")


def restarts() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "child restart"]


def test_a_child_is_not_lost_when_no_thread_can_be_started(children: ChildPool, tmp_path: Path) -> None:
    threading.stack_size(1 << 50)  # more than any address space
    try:
        with pytest.raises(RuntimeError):
            threading.Thread(target=print).start()
        with pytest.raises(ChildCrashed):
            blur(children, tmp_path, b"segfault")
    finally:
        threading.stack_size(0)
    assert blur(children, tmp_path, b"") == FINE


def test_a_child_that_was_just_replaced_is_not_unused(tmp_path: Path) -> None:
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000), _misbehave)
    try:
        with pytest.raises(ChildCrashed):
            blur(children, tmp_path, b"segfault")
        eventually(lambda: children._idle.qsize() == 1)
        children.stop_unused(IDLE_SECONDS)
        assert children.count_alive() == 1
    finally:
        children.close()


def test_limits_on_the_cost_of_a_file_are_settings(tmp_path: Path) -> None:
    animation = encode_frames(frames(3), "GIF", duration=50)
    pages, scans = encode_frames(frames(3), "TIFF"), encode(photo(8, 8), "JPEG", progressive=True)
    texts = PngInfo()
    for number in range(100):
        texts.add_text(str(number), "text")
    chunks = encode(photo(8, 8), "PNG", pnginfo=texts)
    usual_limits = ChildLimits(seconds=20, memory_mb=2048, max_pixels=1 << 20)
    low = replace(usual_limits, max_frames=2, max_pages=2, max_segments=80, max_scans=2)
    strict, usual = ChildPool(1, low), ChildPool(1, usual_limits)
    try:
        for data, what in ((animation, "2 frames"), (pages, "2 pages"), (chunks, "80 chunks"), (scans, "2 scans")):
            assert blur(usual, tmp_path, data).size
            with pytest.raises(ImageError, match=f"more than {what}") as caught:
                blur(strict, tmp_path, data)
            assert caught.value.reason is Reason.TOO_LARGE
    finally:
        strict.close()
        usual.close()


def test_finding_has_limits_of_its_own(tmp_path: Path) -> None:
    finding = FindLimits(seconds=20, memory_mb=4096)
    limits = ChildLimits(seconds=20, memory_mb=1024, max_pixels=1000, finding=finding)
    children = ChildPool(1, limits, _misbehave)
    assert children.get_models() == ()
    children.start()
    try:
        with pytest.raises(ImageError, match="more memory"):
            blur(children, tmp_path, b"reserve")
        assert blur(children, tmp_path, b"reserve", FIND) == FINE
        assert blur(children, tmp_path, b"reserve") == FINE, "models that are loaded stay, and need the room"
        with limited_to(children, 2):
            with pytest.raises(ImageError, match="longer than 2 seconds"):
                blur(children, tmp_path, b"take long")
            assert blur(children, tmp_path, b"take long", FIND) == FINE
        with pytest.raises(ModelMissing, match="no model for FACE"):
            blur(children, tmp_path, b"lack", FIND)
        assert blur(children, tmp_path, b"name").path == "1 1", "one core for each, and no reports to anybody"
    finally:
        children.close()


def test_children_that_nobody_needs_end_and_start_again_when_somebody_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ChildPool(2, LIMITS, run_instant, answer=InstantResult)
    idle = InstantChildren(pool, DirectListener(tmp_path, 1), lambda _: pytest.fail("a call came"), idle_seconds=1)
    request = InstantRequest(
        kind=InstantKind.BLUR, spec=BlurSpec(), max_result_bytes=1 << 20, data=encode(photo(), "PNG")
    )
    broker: Any = None
    with monkeypatch.context() as patch:
        patch.setattr(pool, "stop_unused", lambda _: None)  # however long the calls take
        idle.before_worker_boot(broker, broker)
        assert pool.count_alive() == 0, "an idle service costs no memory"
        for _ in range(3):
            assert pool.run(request).width == photo().width
        assert pool.count_alive() == 1, "one call after another needs one"
    try:
        eventually(lambda: pool.count_alive() == 0)
        assert pool.run(request).width == photo().width
    finally:
        idle.after_worker_shutdown(broker, broker)
    assert pool.count_alive() == 0
