"""Loading and running ONNX models."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from services.blur_worker.engine.finding.onnx_session import OnnxSession, packaged_file, packaged_version
from services.common.domain.errors import ConfigurationError
from tests.unit.engine.finding.tiny_models import SIDE, write_model


def test_a_file_is_loaded_only_with_its_digest(tmp_path: Path) -> None:
    path = write_model(tmp_path, "yolov8").with_suffix(".onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    session = OnnxSession(path, sha256=digest)
    assert session.input_shape == (1, 3, SIDE, SIDE)
    (output,) = session.run(np.zeros((1, 3, SIDE, SIDE), np.float32))
    assert output.shape == (1, 5, 64)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ConfigurationError, match="expected is " + digest):
        OnnxSession(path, sha256=digest)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    with pytest.raises(ConfigurationError, match=r"x\.onnx: No such file"):
        OnnxSession(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match=r"x\.onnx: onnxruntime cannot load it"):
        OnnxSession(path)


def test_files_of_packages_are_found_without_importing_them() -> None:
    assert packaged_file("no-such-distribution", "x") is None
    assert packaged_file("numpy", "numpy/no_such_file") is None
    path = packaged_file("numpy", "numpy/__init__.py")
    assert path == Path(np.__file__)
    assert packaged_version("numpy") == np.__version__
