"""The processes in which images are decoded and blurred: one that crashes or hangs takes nothing else with it."""

import contextlib
import hashlib
import multiprocessing
import os
import queue
import resource
import signal
import sys
import time
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from services.common.errors import ImageError, Reason, Unavailable
from services.common.spec import BlurSpec, Format

TRIES = 3
"""Children tried for an image before it is put back."""
START_SECONDS = 60
"""How long a child may take to load the engine, on a machine that is busy."""
STOP_SECONDS = 10
"""How long a child may take to end."""


class ChildCrashed(Exception):
    """The child died while it worked on the image."""


class _ChildLost(Exception):
    """The child died, or was found dead, before it had the image."""


@dataclass(frozen=True)
class ChildLimits:
    """What a child may use: `seconds` of time and of processor for an image, `memory` in MiB, `max_pixels`."""

    seconds: int
    memory: int
    max_pixels: int


@dataclass(frozen=True)
class Facts:
    """About a result: size in bytes, SHA-256 as hex, size in pixels, format, and which path of the engine made it."""

    size: int
    sha256: str
    width: int
    height: int
    format: Format
    path: str


class Children:
    """The child processes, each given one image at a time; one that is lost is replaced."""

    def __init__(self, count: int, limits: ChildLimits) -> None:
        self._limits = limits
        self._children = [_Child(limits) for _ in range(count)]
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for child in self._children:
            self._idle.put(child)

    def warm_up(self) -> None:
        """Start the children and wait until each has loaded the engine."""
        with ThreadPoolExecutor(len(self._children)) as pool:
            list(pool.map(_Child.start, self._children))

    def blur(self, source: Path, target: Path, spec: BlurSpec) -> Facts:
        """Blur the file `source` into the file `target`.

        Raises:
            ImageError: The image cannot be blurred.
            ChildCrashed: The child died of it.
            Unavailable: No child could be kept alive.
        """
        child = self._idle.get()
        try:
            for _ in range(TRIES):
                try:
                    return child.blur(source, target, spec)
                except _ChildLost:
                    # It died before it had the image: the image is not to blame, another child takes it.
                    child.stop()
            raise Unavailable("no blur child stays alive")
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End the children; what they work on is lost."""
        for child in self._children:
            child.stop()


class _Child:
    """One child process, in a pool of its own.

    Children of one pool share a lock, and a child that is killed while it waits for work takes the lock with it: all
    others would wait for ever. So each has its own, and is replaced as soon as it is not the process that was started.
    """

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._pool: ProcessPool | None = None
        self._pid = 0

    def start(self) -> ProcessPool:
        """Start the process unless it lives. Raises: Unavailable."""
        if self._pool and self._alive():
            return self._pool
        self.stop()
        self._pool = ProcessPool(
            max_workers=1,
            # Not fork: the parent has threads and open connections.
            context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._limits,),
        )
        try:
            self._pid = self._pool.schedule(os.getpid).result(timeout=START_SECONDS)
        except (RuntimeError, ProcessExpired, TimeoutError) as error:
            self.stop()
            raise Unavailable("a blur child does not start") from error
        return self._pool

    def stop(self) -> None:
        """End the process."""
        if self._pool:
            self._pool.stop()  # type: ignore[no-untyped-call]
            with contextlib.suppress(TimeoutError):
                self._pool.join(timeout=STOP_SECONDS)
            self._pool = None

    def blur(self, source: Path, target: Path, spec: BlurSpec) -> Facts:
        """As `Children.blur`. Raises _ChildLost too, when the image did not reach the child."""
        seconds = self._limits.seconds
        try:
            future = self.start().schedule(_blur_file, args=(source, target, spec, self._limits), timeout=seconds)
        except RuntimeError:
            raise _ChildLost from None
        self._await(future, time.monotonic() + seconds + STOP_SECONDS)
        try:
            facts: Facts = future.result()
        except TimeoutError:
            self.stop()
            raise ImageError(Reason.TIMED_OUT, f"the image took longer than {seconds} seconds") from None
        except MemoryError:
            # What it has allocated may be in pieces: begin anew.
            self.stop()
            raise ImageError(Reason.TOO_LARGE, "the image needs more memory than an image may take") from None
        except ProcessExpired as error:
            self.stop()
            raise ChildCrashed(f"exit code {error.exitcode}") from None
        except (BrokenExecutor, CancelledError):
            raise _ChildLost from None
        return facts

    def _await(self, future: Future[Facts], deadline: float) -> None:
        while not wait([future], timeout=1).done:
            lost = not self._alive() or time.monotonic() > deadline
            # The pool tells within moments what its child died of, if the child had the image.
            if lost and not wait([future], timeout=1).done:
                raise _ChildLost

    def _alive(self) -> bool:
        return self._pid in {process.pid for process in multiprocessing.active_children()}


def _begin(limits: ChildLimits) -> None:
    # Ctrl-C reaches the whole terminal; the parent says when a child ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        memory = limits.memory << 20
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _load_engine()


def _load_engine() -> None:
    import services.blur_worker.engine  # noqa: F401, PLC0415 - loaded by the child that will use it, before it is asked


def _blur_file(source: Path, target: Path, spec: BlurSpec, limits: ChildLimits) -> Facts:
    from services.blur_worker.engine import Limits, blur  # noqa: PLC0415 - never in the parent

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The limit counts from the child's birth; the parent's deadline ends it sooner unless the parent is gone.
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 2 * limits.seconds, hard))
    blurred = blur(source.read_bytes(), spec, Limits(max_pixels=limits.max_pixels))
    target.write_bytes(blurred.data)
    return Facts(
        size=len(blurred.data),
        sha256=hashlib.sha256(blurred.data).hexdigest(),
        width=blurred.width,
        height=blurred.height,
        format=blurred.format,
        path=blurred.path,
    )
