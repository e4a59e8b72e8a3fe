"""Memory and cores that a process may use."""

import os
from pathlib import Path

import pytest

from services.common.infra.process import machine
from services.common.infra.process.machine import default_children, default_instant_children, memory_mib

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
MIB = 1 << 20


def root_with(folder: Path, cgroup: str, **limits: str) -> Path:
    """Return a root folder with these files of the kernel; `__` in their names is a slash."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(cgroup, "ascii")
    for name, text in limits.items():
        path = folder / "sys/fs/cgroup" / name.replace("__", "/").replace("_limit", ".limit").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    return folder


def test_without_cgroups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert memory_mib(tmp_path) == PHYSICAL


@pytest.mark.parametrize(
    ("cgroup", "limits", "mib"),
    [
        ("0::/a/b\n", {"a__b__memory_max": str(100 * MIB)}, 100),
        ("0::/a/b\n", {"a__memory_max": str(70 * MIB), "a__b__memory_max": "max"}, 70),
        ("0::/\n", {"memory_max": str(64 * MIB)}, 64),
        ("0::/../of/the/machine\n", {"memory_max": str(64 * MIB)}, 64),
        ("5:cpu:/x\n4:memory:/x\n", {"memory__x__memory_limit_in_bytes": str(80 * MIB)}, 80),
        ("4:memory:/x\n", {"memory__memory_limit_in_bytes": "9223372036854771712"}, PHYSICAL),
        ("4:memory:/docker/abc\n", {"memory__memory_limit_in_bytes": str(90 * MIB)}, 90),
    ],
)
def test_a_cgroup_may_allow_less(tmp_path: Path, cgroup: str, limits: dict[str, str], mib: int) -> None:
    assert memory_mib(root_with(tmp_path, cgroup, **limits)) == mib


@pytest.mark.parametrize(
    ("mib", "cores", "children"),
    [(512, 8, 1), (1024, 1, 1), (1024, 8, 1), (1300, 8, 2), (2200, 8, 4), (4096, 8, 8), (65536, 64, 64)],
)
def test_children_follow_cores_and_memory(mib: int, cores: int, children: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_mib", lambda: mib)
    monkeypatch.setattr(machine, "count_cores", lambda: cores)
    assert default_children() == children
    assert mib == 512 or 400 + 300 * (children + default_instant_children()) <= mib
