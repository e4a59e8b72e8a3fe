"""Every detector works in a confined child process, which loads it when it is first asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits, FindLimits
from services.common.domain.spec import BlurSpec, Find, FindingKind, Redact
from tests.support.images import encode, photo


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    finding = FindLimits(seconds=60, memory_mb=4096)
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=2048, max_pixels=1 << 20, finding=finding))
    children.start()
    yield children
    children.close()


@pytest.mark.parametrize("kind", [FindingKind.FACE, FindingKind.TEXT, FindingKind.CODE])
def test_it_finds(kind: FindingKind, children: ChildPool, tmp_path: Path) -> None:
    if kind not in {model.kind for model in children.get_models()}:
        pytest.skip(f"no model of {kind} is installed")
    (tmp_path / "original").write_bytes(encode(photo(160, 120), "PNG"))
    spec = BlurSpec(effect=Redact(), find=(Find(kind=kind),))
    blurred = children.blur(tmp_path / "original", tmp_path / "result", spec)
    assert blurred.inspection is not None
    assert (tmp_path / "result").stat().st_size == blurred.size
