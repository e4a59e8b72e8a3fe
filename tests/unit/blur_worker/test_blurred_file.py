"""What a child process reports about the result that it has written."""

import hashlib
import os
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.blur_worker.child import process
from services.blur_worker.child.process import BlurredFile, BlurTask, ChildLimits
from services.common.domain.spec import BlurSpec, Format


def test_the_checksums_are_those_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blurred = SimpleNamespace(data=b"result", format=Format.PNG, width=1, height=2, path="test", seconds={})
    monkeypatch.setattr(process, "_blur", lambda *_args: blurred)
    (tmp_path / "original").write_bytes(b"original")
    descriptors = tuple(os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("original", "result"))
    try:
        limits = ChildLimits(seconds=1, memory_mb=1, max_pixels=1)
        written = process.blur_file(BlurTask(spec=BlurSpec(), descriptors=descriptors), limits)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert (tmp_path / "result").read_bytes() == b"result"
    assert (written.crc32, written.sha256) == (zlib.crc32(b"result"), hashlib.sha256(b"result").hexdigest())
    values, data = written.to_values()
    assert BlurredFile.from_values(values, data) == written
