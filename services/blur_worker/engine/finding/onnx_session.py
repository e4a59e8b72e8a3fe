"""ONNX models from installed packages and from files, run on one thread by onnxruntime.

onnxruntime is an extra: it is imported only when a session is opened.
"""

import hashlib
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.domain.errors import ConfigurationError

Array = NDArray[np.float32]


class OnnxSession:
    """A loaded model with one input; not for several threads at once."""

    def __init__(self, path: Path, *, sha256: str | None = None, keep_memory: bool = False) -> None:
        """Load a model.

        Args:
            path: The ONNX file.
            sha256: Its digest in hexadecimal; None: any file is accepted.
            keep_memory: Keep the memory of a run for the next one, which saves about a quarter of the time. Only where
                the size of inputs is bounded: else one large input keeps its memory for ever.

        Raises:
            ConfigurationError: The file cannot be read, is another one, or is no model that onnxruntime can run.
        """
        content = _read(path, sha256)
        session = _onnxruntime_session(path, content)
        if len(session.get_inputs()) != 1:
            raise ConfigurationError(f"{path}: has {len(session.get_inputs())} inputs; supported is a model with one")
        self.input_name: str = session.get_inputs()[0].name
        self.input_shape: tuple[int | str | None, ...] = tuple(session.get_inputs()[0].shape)
        """Names or None where an axis may have any length."""
        self.input_type: str = session.get_inputs()[0].type
        """Such as `tensor(float)`."""
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._run: Callable[..., list[Any]] = session.run
        self._run_options = _run_options(keep_memory=keep_memory)

    def run(self, values: Array) -> list[Array]:
        """Return all outputs for an input.

        Raises:
            MemoryError: The process reached its memory limit.
        """
        try:
            return self._run(None, {self.input_name: values}, self._run_options)
        except Exception as error:
            # onnxruntime has no class of its own for this.
            if any(text in str(error) for text in ("bad_alloc", "bad allocation", "Failed to allocate memory")):
                raise MemoryError(str(error)) from error
            raise


def is_runtime_installed() -> bool:
    """Return whether sessions can be opened, without importing onnxruntime."""
    return util.find_spec("onnxruntime") is not None


def packaged_file(distribution: str, name: str) -> Path | None:
    """Return a file of an installed distribution without importing it; None if it is not installed.

    Args:
        distribution: Name on PyPI.
        name: Path of the file as in the wheel, such as `rapidocr/models/x.onnx`.
    """
    try:
        path = Path(str(metadata.distribution(distribution).locate_file(name)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def packaged_version(distribution: str) -> str:
    """Return the version of an installed distribution."""
    return metadata.version(distribution)


def _read(path: Path, sha256: str | None) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ConfigurationError(
            f"{path}: has SHA-256 {found}, expected is {sha256}; install the version that the lock file names"
        )
    return content


def _onnxruntime_session(path: Path, content: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    # A child process has one core; threads that spin take it from other children.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Inputs differ in size: a plan of memory per size would be kept for each.
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{path}: onnxruntime cannot load it: {error}") from None


def _run_options(*, keep_memory: bool) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    if not keep_memory:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
