"""The processes in which images are decoded and blurred: one that crashes or hangs takes nothing else with it."""

import hashlib
import multiprocessing
import resource
import signal
import sys
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from services.common.errors import ImageError, Reason
from services.common.spec import BlurSpec, Format


class ChildCrashed(Exception):
    """The child died while it worked on the image."""


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
    """A pool of child processes; a child that is lost is replaced."""

    def __init__(self, count: int, limits: ChildLimits) -> None:
        self._limits = limits
        self._count = count
        self._pool = ProcessPool(
            max_workers=count,
            # Not fork: the parent has threads and open connections.
            context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(limits,),
        )

    def warm_up(self) -> None:
        """Start the children and wait until each has loaded the engine."""
        wait([self._pool.schedule(_load_engine) for _ in range(self._count)])

    def blur(self, source: Path, target: Path, spec: BlurSpec) -> Facts:
        """Blur the file `source` into the file `target`.

        Raises:
            ImageError: The image cannot be blurred.
            ChildCrashed: The child died of it.
        """
        future = self._pool.schedule(
            _blur_file, args=(source, target, spec, self._limits), timeout=self._limits.seconds
        )
        try:
            facts: Facts = future.result()
        except TimeoutError:
            raise ImageError(Reason.TIMED_OUT, f"the image took longer than {self._limits.seconds} seconds") from None
        except MemoryError:
            raise ImageError(Reason.TOO_LARGE, "the image needs more memory than an image may take") from None
        except ProcessExpired as error:
            raise ChildCrashed(f"exit code {error.exitcode}") from None
        return facts

    def close(self) -> None:
        """End the children; what they work on is lost."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


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
