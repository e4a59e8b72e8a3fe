"""What runs in a child process: it loads the engine, then blurs one file after another until its parent ends."""

import contextlib
import hashlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Format


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """What a child process may use for an image."""

    seconds: int
    """Wall-clock time, enforced by the parent; of processor time twice as much, enforced by the system."""
    memory_mb: int
    """Address space in MiB; only on Linux."""
    max_pixels: int
    """Width × height × frames."""
    niceness: int = 0
    """How far the process lets others of this machine go first."""


@dataclass(frozen=True, kw_only=True)
class BlurTask:
    """A file to blur."""

    original: Path
    result: Path
    """Where to write the result."""
    spec: BlurSpec


@dataclass(frozen=True, kw_only=True)
class BlurredFile:
    """A result that a child process has written."""

    size: int
    """In bytes."""
    sha256: str
    """As hex."""
    width: int
    """In pixels, like `height`."""
    height: int
    format: Format
    path: str
    """The engine's implementation that made it: see `engine.Blurred.path`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By stage; the stage `processor` is the processor time of the whole engine."""


Work = Callable[[Any, ChildLimits], Any]
"""Takes a task; its answer has the image's `width` and `height`."""


def serve(pipe: Connection, limits: ChildLimits, work: Work) -> None:
    """Answer tasks from the pipe, one at a time, until the parent closes its end."""
    # Ctrl-C reaches the whole terminal; the parent decides when a child process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        memory_bytes = limits.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(limits.niceness)
    from services.blur_worker.engine import pillow_memory  # noqa: PLC0415 - loads the engine: never in the parent

    pillow_memory.keep()
    with contextlib.suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            answer = _answer(pipe.recv(), limits, work)
            pipe.send(answer)
            pillow_memory.release_after(None if isinstance(answer, Exception) else answer.width * answer.height)


def _answer(task: object, limits: ChildLimits, work: Work) -> Any:
    _allow_processor_time(2 * limits.seconds)
    try:
        return work(task, limits)
    except (ImageError, MemoryError, OSError) as error:
        return error
    except Exception as error:
        # As another error: not every error can be pickled, and no traceback can.
        fault = RuntimeError(repr(error))
        fault.add_note(traceback.format_exc())
        return fault


def _allow_processor_time(seconds: int) -> None:
    # The limit counts from the start of the process. The parent's deadline comes first, unless the parent is gone.
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def blur_file(task: BlurTask, limits: ChildLimits) -> BlurredFile:
    """Blur a file.

    Raises:
        ImageError: The image cannot be blurred.
        MemoryError: The process reached its memory limit.
        OSError: A file cannot be read or written.
    """
    from services.blur_worker.engine import Limits, blur  # noqa: PLC0415 - never in the parent

    original = task.original.read_bytes()
    start = time.thread_time()
    blurred = blur(original, task.spec, Limits(max_pixels=limits.max_pixels))
    processor_seconds = time.thread_time() - start
    task.result.write_bytes(blurred.data)
    return BlurredFile(
        size=len(blurred.data),
        sha256=hashlib.sha256(blurred.data).hexdigest(),
        width=blurred.width,
        height=blurred.height,
        format=blurred.format,
        path=blurred.path,
        seconds={**blurred.seconds, "processor": processor_seconds},
    )
