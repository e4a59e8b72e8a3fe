"""What runs in a child process: it loads the engine, then blurs one file after another until its parent ends."""

import contextlib
import functools
import gc
import hashlib
import os
import resource
import signal
import socket
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.reduction import recvfds
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from services.blur_worker.child.answers import UNUSABLE_DISK, ChildAnswer, ModelMissing, encode_answer
from services.blur_worker.sandbox import Confinement
from services.common.domain.errors import ImageBlurError, ImageError
from services.common.domain.findings import FindModel, Inspection
from services.common.domain.spec import BlurSpec, Format

if TYPE_CHECKING:
    from services.blur_worker.engine import Blurred, Limits
    from services.blur_worker.engine.finding.registry import Detectors


@dataclass(frozen=True, kw_only=True)
class FindLimits:
    """What a child process may use for an image in which something is to be found, and where custom models are."""

    seconds: int
    """Wall-clock time, as in `ChildLimits`; `memory_mb` likewise."""
    memory_mb: int
    models_folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """What a child process may use for an image."""

    seconds: int
    """Wall-clock time, enforced by the parent; of processor time twice as much, enforced by the system."""
    memory_mb: int
    """Address space in MiB; only on Linux."""
    max_pixels: int
    """Width × height × frames."""
    max_frames: int = 3_000
    """Most frames, as in the engine's `Limits`, like the three fields below."""
    max_pages: int = 1_000
    max_segments: int = 50_000
    max_scans: int = 100
    niceness: int = 0
    """How far the process lets others of this machine go first."""
    finding: FindLimits | None = None
    """None: this worker finds nothing."""

    def of_engine(self) -> "Limits":
        """Return what the engine refuses."""
        from services.blur_worker.engine import Limits  # noqa: PLC0415 - never in the parent

        return Limits(
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            max_pages=self.max_pages,
            max_segments=self.max_segments,
            max_scans=self.max_scans,
        )

    def of(self, spec: BlurSpec) -> tuple[int, int]:
        """Return the time in seconds and the memory in MiB that an image with this spec may take."""
        if spec.find and self.finding:
            return self.finding.seconds, self.finding.memory_mb
        return self.seconds, self.memory_mb


@dataclass(frozen=True, kw_only=True)
class BlurTask:
    """A file to blur into another one."""

    spec: BlurSpec
    name: str = ""
    """Name of the original's file."""
    descriptors: tuple[int, ...]
    """Descriptors of the original, open for reading, and of the result, open for writing."""

    def read_original(self) -> bytes:
        """Return the original. Raises: OSError."""
        os.lseek(self.descriptors[0], 0, os.SEEK_SET)
        with open(self.descriptors[0], "rb", closefd=False) as file:
            return file.read()

    def write_result(self, data: bytes) -> None:
        """Write the result. Raises: OSError."""
        with open(self.descriptors[1], "wb", closefd=False) as file:
            file.write(data)


@dataclass(frozen=True, kw_only=True)
class BlurredFile:
    """A result that a child process has written: a `ChildAnswer`."""

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
    inspection: Inspection | None = None
    """What was found; None if nothing was to be found."""
    crc32: int | None = None

    def to_values(self) -> tuple[dict[str, Any], bytes]:
        """See `ChildAnswer`."""
        inspection = self.inspection and self.inspection.to_json()
        return vars(self) | {"seconds": dict(self.seconds), "inspection": inspection}, b""

    @classmethod
    def from_values(cls, values: dict[str, Any], _data: bytes) -> "BlurredFile":
        """See `ChildAnswer`."""
        inspection = values["inspection"]
        return cls(
            size=int(values["size"]),
            sha256=bytes.fromhex(values["sha256"]).hex(),
            width=int(values["width"]),
            height=int(values["height"]),
            format=Format(values["format"]),
            path=str(values["path"]),
            seconds={str(stage): float(taken) for stage, taken in values["seconds"].items()},
            inspection=inspection and Inspection.from_json(inspection),
            crc32=None if values["crc32"] is None else int(values["crc32"]) & 0xFFFFFFFF,
        )


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a child process sends first."""

    models: tuple[FindModel, ...] = ()
    """What it can find; nothing is loaded yet."""
    fault: str = ""
    """Why models are missing, if that is an error."""
    unenforced: tuple[str, ...] = ()
    """What this system cannot keep it from reaching."""


class Task(Protocol):
    """What a child process is given."""

    @property
    def spec(self) -> BlurSpec:
        """What is to be done to the image."""


_ENVIRONMENT = {
    # One core for each child process: libraries must not start threads for all of them.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
OOM_SCORE = 500
"""Added to how much the kernel wants to kill a child process when memory runs out: as if it had half of it more."""
_IDLE_SECONDS = 1.0
"""Without a task, after which a child process keeps no memory for the next image."""
Work = Callable[[Any, ChildLimits], ChildAnswer]
"""Takes a task."""


def serve(pipe: Connection, limits: ChildLimits, confinement: Confinement, work: Work, group: int) -> None:
    """Answer tasks from the pipe, one at a time, until the parent closes its end.

    What is sent before the first task is pickled. From then on this process may be anybody's: answers are data. The
    process joins the group of its parent, and is killed with that group.
    """
    if os.getpgrp() != group:
        try:
            os.setpgid(0, group)
        except OSError:
            return  # the parent has ended
    # Ctrl-C reaches the whole terminal; the parent decides when a child process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The fork server has loaded it, unless it was started for something else: once confined, nothing can load loops.
    import_module("services.blur_worker.warm_engine")
    gc.enable()  # also if it could not be preloaded
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prefer_as_victim()
        most_mb = max(limits.memory_mb, limits.finding.memory_mb if limits.finding else 0)
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb << 20, most_mb << 20))
    os.environ |= _ENVIRONMENT
    os.nice(limits.niceness)
    from services.blur_worker.engine import kept_memory  # noqa: PLC0415 - loads the engine: never in the parent

    kept_memory.keep()
    with contextlib.suppress(EOFError, OSError):
        ready = _list_models(limits.finding) if limits.finding else Ready()
        models = [limits.finding.models_folder] if limits.finding and limits.finding.models_folder else []
        unenforced = confinement.apply([pipe.fileno()], read=models)
        pipe.send(replace(ready, unenforced=tuple(unenforced)))
        while True:
            task = _receive(pipe)
            answer = _answer(task, limits, work)
            for descriptor in getattr(task, "descriptors", ()):
                os.close(descriptor)
            pipe.send_bytes(encode_answer(answer))
            kept_memory.release_after(None if isinstance(answer, Exception) else answer.width * answer.height)
            if not pipe.poll(_IDLE_SECONDS):
                kept_memory.release()


def _prefer_as_victim() -> None:
    """Where memory runs out, an image is to fail, not a service. In a container the score may be higher already."""
    score = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):
        if int(score.read_text("ascii")) < OOM_SCORE:
            score.write_text(str(OOM_SCORE), "ascii")


def _receive(pipe: Connection) -> Any:
    """Receive a task, and the descriptors that follow it."""
    task = pipe.recv()
    if descriptors := getattr(task, "descriptors", ()):
        with socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
            return replace(task, descriptors=tuple(recvfds(end, len(descriptors))))
    return task


def _answer(task: Task, limits: ChildLimits, work: Work) -> ChildAnswer | Exception:
    seconds, memory_mb = limits.of(task.spec)
    _allow_processor_time(2 * seconds)
    _raise_memory_limit(memory_mb)
    try:
        return work(task, limits)
    except (ImageError, MemoryError, ModelMissing) as error:
        return error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNUSABLE_DISK:
            return error
        fault = RuntimeError(repr(error))
        fault.add_note(traceback.format_exc())
        return fault


def _allow_processor_time(seconds: int) -> None:
    # The limit counts from the start of the process. The parent's deadline comes first, unless the parent is gone.
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def _raise_memory_limit(memory_mb: int) -> None:
    # Never lowered again: models that are loaded stay.
    if sys.platform == "linux":
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (max(soft, memory_mb << 20), hard))


def _list_models(finding: FindLimits) -> Ready:
    fault = ""
    # A wrong description of a custom model must not keep this worker from finding what others find.
    for folder in (finding.models_folder, None):
        try:
            return Ready(models=tuple(make_detectors(folder).models()), fault=fault)
        except Exception as error:  # nor must a broken package of an extra keep it from blurring
            fault = fault or (str(error) if isinstance(error, ImageBlurError) else repr(error))
    return Ready(fault=fault)


@functools.cache
def make_detectors(models_folder: Path | None) -> "Detectors":
    """Return the detectors of this process; each is loaded when an image first asks for it."""
    from services.blur_worker.engine.finding.registry import Detectors  # noqa: PLC0415 - never in the parent

    return Detectors(models_folder)


def blur_file(task: BlurTask, limits: ChildLimits) -> BlurredFile:
    """Blur a file.

    Raises:
        ImageError: The image cannot be blurred.
        ModelMissing: This worker cannot find what the spec asks for.
        MemoryError: The process reached its memory limit.
        OSError: A file cannot be read or written.
    """
    original = task.read_original()
    start = time.thread_time()
    blurred = _blur(original, task.spec, limits)
    processor_seconds = time.thread_time() - start
    task.write_result(blurred.data)
    return BlurredFile(
        size=len(blurred.data),
        sha256=hashlib.sha256(blurred.data).hexdigest(),
        width=blurred.width,
        height=blurred.height,
        format=blurred.format,
        path=blurred.path,
        seconds={**blurred.seconds, "processor": processor_seconds},
        inspection=blurred.inspection if task.spec.find else None,
        crc32=zlib.crc32(blurred.data),
    )


def _blur(original: bytes, spec: BlurSpec, limits: ChildLimits) -> "Blurred":
    from services.blur_worker import engine  # noqa: PLC0415 - never in the parent

    engine_limits = limits.of_engine()
    if not spec.find:
        return engine.blur(original, spec, engine_limits)
    from services.blur_worker.engine.finding.registry import DetectorMissing  # noqa: PLC0415

    try:
        detectors = make_detectors(limits.finding and limits.finding.models_folder)
        return engine.blur(original, spec, engine_limits, detectors)
    except DetectorMissing as error:
        # As an error that the parent can load without the engine.
        raise ModelMissing(str(error)) from None
