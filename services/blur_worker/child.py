"""What runs in a child process: it loads the engine, then works on one file after another until its parent is gone."""

import contextlib
import hashlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Format


@dataclass(frozen=True)
class ChildLimits:
    """What a child may use: `seconds` of time and of processor for an image, `memory` in MiB, `max_pixels`."""

    seconds: int
    memory: int
    max_pixels: int


@dataclass(frozen=True)
class Task:
    """A file to be blurred into another one."""

    source: Path
    target: Path
    spec: BlurSpec


@dataclass(frozen=True)
class Facts:
    """About a result: size in bytes, SHA-256 as hex, size in pixels, format, the engine's path, seconds by stage.

    The stage `processor` is what the engine took of it.
    """

    size: int
    sha256: str
    width: int
    height: int
    format: Format
    path: str
    seconds: Mapping[str, float] = field(default_factory=dict)


Answer = Facts | Exception
Work = Callable[[Task, ChildLimits], Facts]


def serve(pipe: Connection, limits: ChildLimits, work: Work) -> None:
    """Do tasks from the pipe, one at a time; ends when the parent's end is closed."""
    # Ctrl-C reaches the whole terminal; the parent says when a child ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        most = limits.memory << 20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from services.blur_worker.engine import pillow_memory  # noqa: PLC0415 - never in the parent; brings all of the engine

    pillow_memory.keep()
    with contextlib.suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            task: Task = pipe.recv()
            answer = _answer(task, limits, work)
            pipe.send(answer)
            pillow_memory.release_after(answer.width * answer.height if isinstance(answer, Facts) else None)


def _answer(task: Task, limits: ChildLimits, work: Work) -> Answer:
    _allow_processor_time(limits.seconds)
    try:
        return work(task, limits)
    except (ImageError, MemoryError, OSError) as error:
        return error
    except Exception as error:
        # Not as it is: not every error can travel, nor its traceback.
        fault = RuntimeError(repr(error))
        fault.add_note(traceback.format_exc())
        return fault


def _allow_processor_time(seconds: int) -> None:
    # The limit counts from the child's birth; the parent's deadline ends it sooner unless the parent is gone.
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 2 * seconds, hard))


def blur_file(task: Task, limits: ChildLimits) -> Facts:
    """The work itself. Raises: ImageError, MemoryError, OSError."""
    from services.blur_worker.engine import Limits, blur  # noqa: PLC0415 - never in the parent

    source = task.source.read_bytes()
    begin = time.thread_time()
    blurred = blur(source, task.spec, Limits(max_pixels=limits.max_pixels))
    processor = time.thread_time() - begin
    task.target.write_bytes(blurred.data)
    return Facts(
        size=len(blurred.data),
        sha256=hashlib.sha256(blurred.data).hexdigest(),
        width=blurred.width,
        height=blurred.height,
        format=blurred.format,
        path=blurred.path,
        seconds={**blurred.seconds, "processor": processor},
    )
