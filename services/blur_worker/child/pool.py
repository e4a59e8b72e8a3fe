"""The child processes that decode and blur: one that crashes or hangs affects nothing but its own image."""

import contextlib
import functools
import multiprocessing
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import sendfds
from pathlib import Path
from typing import Any

from services.blur_worker.child import process
from services.blur_worker.child.answers import MAX_BYTES, BadAnswer, ChildAnswer, decode_answer
from services.blur_worker.child.engine_server import PRELOADED
from services.blur_worker.child.process import BlurredFile, BlurTask, ChildLimits, Ready, Task, Work, blur_file
from services.blur_worker.sandbox import Confinement
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.findings import FindModel
from services.common.domain.spec import BlurSpec
from services.common.infra import log
from services.common.infra.process.fork_server import forks_elsewhere

MAX_STARTS = 3
"""Child processes started for an image before it is returned."""
START_SECONDS = 60
"""How long a child process may take to start once the engine is loaded: it is forked from a process that has it."""
WAIT_SECONDS = 10
"""How long an image waits for a child process; then another worker may have an idle one sooner."""
STOP_SECONDS = 10
"""How long a killed child process may take to end."""

_log = log.get(__name__)

# Not fork: the parent has threads and open connections. The fork server has neither; it loads the engine once, and the
# child processes share its memory.
_context = multiprocessing.get_context("forkserver")
_CONFINED = Confinement()


class ChildCrashed(Exception):
    """The child process died while it worked on the image."""


class ChildPool:
    """A fixed number of child processes, each given one image at a time; one that died is replaced."""

    def __init__(
        self,
        count: int,
        limits: ChildLimits,
        work: Work = blur_file,
        *,
        answer: type[ChildAnswer] = BlurredFile,
        confinement: Confinement = _CONFINED,
    ) -> None:
        """Start no process yet.

        Args:
            count: How many child processes there are.
            limits: Of each image.
            work: What a child process does with a task.
            answer: What it answers with.
            confinement: What it can reach.
        """
        self._slots = [_Slot(limits, work, answer, confinement) for _ in range(count)]
        # The one used last first: a pool whose processes start when they are needed starts no more than it needs.
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._idle.put(slot)

    def start(self) -> None:
        """Start all child processes and wait until each is ready; the first time, the engine is compiled: a minute.

        Raises:
            Unavailable: One of them does not start.
        """
        with ThreadPoolExecutor(len(self._slots)) as pool:
            list(pool.map(_Slot.start, self._slots))

    def count_alive(self) -> int:
        """Return the number of child processes that are alive."""
        return sum(slot.alive for slot in self._slots)

    def get_models(self) -> Sequence[FindModel]:
        """Return what the child processes can find; nothing until one has started."""
        return next((slot.ready.models for slot in self._slots if slot.ready), ())

    def blur(
        self,
        original: Path,
        result: Path,
        spec: BlurSpec,
        on_start: Callable[[], None] = lambda: None,
        *,
        wait_seconds: float = WAIT_SECONDS,
        seconds: int | None = None,
    ) -> BlurredFile:
        """Blur a file into another one; `on_start` is called while the child process already works on it.

        Arguments and errors are those of `run`.
        """
        descriptors: list[int] = []
        try:
            descriptors.append(os.open(original, os.O_RDONLY))
            descriptors.append(os.open(result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))
            task = BlurTask(spec=spec, name=str(original), descriptors=tuple(descriptors))
            blurred: BlurredFile = self.run(task, on_start, wait_seconds=wait_seconds, seconds=seconds)
            return blurred
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def run(
        self,
        task: Task,
        on_start: Callable[[], None] = lambda: None,
        *,
        on_take: Callable[[], None] = lambda: None,
        wait_seconds: float | None = None,
        seconds: int | None = None,
    ) -> Any:
        """Give a task to an idle child process and return its answer.

        Args:
            task: What to do.
            on_start: Called once the child process works on it.
            on_take: Called as soon as the child process is the task's, which may have to be started.
            wait_seconds: How long to wait for an idle child process; None: WAIT_SECONDS.
            seconds: How long the child process may take, if not as long as its limits allow.

        Raises:
            ImageError: The image cannot be blurred.
            ModelMissing: This worker cannot find what the spec asks for.
            ChildCrashed: The child process died while it worked on it.
            Unavailable: No child process became idle or stays alive, or there is no room for the result.
            OSError: A file cannot be read or written.
        """
        try:
            slot = self._idle.get(timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds)
        except queue.Empty:
            raise Unavailable("no child process became idle") from None
        try:
            on_take()
            return slot.run(task, on_start, seconds)
        finally:
            slot.used_at = time.monotonic()
            self._give_back(slot)

    def _give_back(self, slot: "_Slot") -> None:
        """Let the next task have a slot, once its process is replaced if it has died."""
        if not slot.started:
            # Not by this thread, which has an outcome to record.
            restart = threading.Thread(target=self._restart, args=(slot,), name="child restart", daemon=True)
            with contextlib.suppress(RuntimeError):  # there are too many threads, or the interpreter shuts down
                restart.start()
                return
        self._idle.put(slot)

    def _restart(self, slot: "_Slot") -> None:
        try:
            slot.start()
        except Exception as error:
            if not slot.closed.is_set():
                _log.warning("child process not started, the next image starts it", error=str(error))
        finally:
            self._idle.put(slot)

    def stop_unused(self, seconds: float) -> None:
        """Kill child processes that have had no task for so long; the next task starts one again."""
        idle = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for slot in reversed(idle):
            if slot.alive and time.monotonic() - slot.used_at >= seconds:
                slot.stop()
            self._idle.put(slot)

    def close(self) -> None:
        """Kill the child processes for good; the attempts that they work on are lost."""
        killed = [slot.close() for slot in self._slots]
        for child in filter(None, killed):
            wait([child.sentinel], STOP_SECONDS)


class _Slot:
    """The place of a child process, at the other end of a pipe: a task goes in, an answer comes out.

    The end of the pipe is the death of the process.
    """

    def __init__(self, limits: ChildLimits, work: Work, answer: type[ChildAnswer], confinement: Confinement) -> None:
        self._limits = limits
        self._work = work
        self._answer = answer
        self._confinement = confinement
        self._lock = threading.Lock()
        """Held to start the process, and to stop it."""
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self.ready: Ready | None = None
        """What the last process sent first."""
        self.used_at = 0.0
        """When its last task ended, by `time.monotonic`."""
        self.closed = threading.Event()
        """Set when no process may be started any more."""

    @property
    def alive(self) -> bool:
        """Whether the process is alive."""
        process = self._process
        # Not `is_alive`, which would reap the process: that is for the thread that works with it.
        return process is not None and not wait([process.sentinel], 0)

    @property
    def started(self) -> bool:
        """Whether the process was started, and not killed since."""
        return self._process is not None

    def start(self) -> Connection:
        """Start the process unless it is alive. Raises: Unavailable."""
        with self._lock:
            return self._start()

    def _start(self) -> Connection:
        if self._pipe and self._process and self._process.is_alive():
            return self._pipe
        self._stop()
        if self.closed.is_set():
            raise Unavailable("the worker is shutting down")
        self._pipe, end = _context.Pipe()
        what = (end, self._limits, self._confinement, self._work, os.getpgrp())
        child = _context.Process(target=process.serve, args=what, daemon=True)
        try:
            with end:
                _fork(child, self._confinement)
            self._process = child  # once it can be looked at, also by other threads
            if self.closed.is_set():  # which `close` may have set too early to find this process
                child.kill()
            if self._pipe.poll(START_SECONDS):
                self.ready = self._pipe.recv()
                _report(self.ready)
                return self._pipe
            cause = f"not ready after {START_SECONDS} s"
        except (OSError, EOFError) as error:
            cause = str(error) or "it ended"
        self._stop()
        raise Unavailable(f"a child process does not start: {cause}")

    def stop(self) -> int | None:
        """Kill the process; return its exit code."""
        with self._lock:
            return self._stop()

    def _stop(self) -> int | None:
        code = None
        if self._process:
            self._process.kill()
            self._process.join(STOP_SECONDS)
            code = self._process.exitcode
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = None
        return code

    def close(self) -> BaseProcess | None:
        """Kill the process and let no other one start; return it. Waits for no thread that starts or uses it.

        Nothing is closed that such a thread may be reading: it finds the end of the pipe.
        """
        self.closed.set()
        if process := self._process:
            with contextlib.suppress(OSError):  # which would keep others from being killed
                process.kill()
        return process

    def run(self, task: Task, on_start: Callable[[], None], seconds: int | None = None) -> Any:
        """See `ChildPool.run`."""
        pipe = self._send(task)
        seconds = seconds or self._limits.of(task.spec)[0]
        deadline = time.monotonic() + seconds
        try:
            on_start()
            answer = self._receive(pipe, seconds, deadline)
        except BaseException:
            # Otherwise its answer would be taken for the answer to the next task.
            self.stop()
            raise
        match answer:
            case MemoryError():
                # Its memory may be fragmented: start another one.
                self.stop()
                raise ImageError(Reason.TOO_LARGE, "the image needs more memory than an image may take")
            case Exception():
                raise answer
            case _:
                return answer

    def _send(self, task: Task) -> Connection:
        for _ in range(MAX_STARTS):
            pipe = self._pipe or self.start()
            # A child process that died while it was idle has closed its end: no fault of this image.
            with contextlib.suppress(OSError):
                pipe.send(task)
                if descriptors := getattr(task, "descriptors", ()):
                    with socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
                        sendfds(end, descriptors)
                return pipe
            self.stop()
        raise Unavailable("no child process stays alive")

    def _receive(self, pipe: Connection, seconds: int, deadline: float) -> Any:
        try:
            if pipe.poll(max(0.0, deadline - time.monotonic())):
                return decode_answer(pipe.recv_bytes(MAX_BYTES), self._answer)
        except (EOFError, OSError):
            raise ChildCrashed(f"exit code {self.stop()}") from None
        except BadAnswer as error:
            raise ChildCrashed(f"bad answer: {error}") from None
        raise ImageError(Reason.TIMED_OUT, f"the image took longer than {seconds} seconds")


_fork_lock = threading.Lock()


def _fork(process: BaseProcess, confinement: Confinement) -> None:
    """Start a child process, and the fork server if need be: without settings and secrets in its environment."""
    if forks_elsewhere():  # in another environment, for which this may have to wait
        process.start()
        return
    with _fork_lock:
        before = dict(os.environ)
        # Here, not on import: a service of a stack is itself a fork, of a process with another list.
        _context.set_forkserver_preload(PRELOADED)
        try:
            os.environ.clear()
            os.environ.update(confinement.clean_environment(before))
            process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)


@functools.cache
def _report(ready: Ready) -> None:
    """Log what is not as it should be, once."""
    if ready.fault:
        _log.warning("models are missing: they cannot be listed", error=ready.fault)
    for what in ready.unenforced:
        _log.warning("child processes are not confined: a decoder that is taken over could reach more", reach=what)
