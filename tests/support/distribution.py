"""How pytest-xdist shares the tests among its processes: whole modules, those that take longest first.

A module's servers and children start once, and nobody waits in the end for a process that has all the browser's tests.
"""

import gc
from collections.abc import Generator
from typing import Any

import pytest

TOGETHER = ("tests/e2e/web", "tests/e2e")
"""Folders that one process has alone: each starts a whole stack, and waits more than it computes."""
ORDER = (
    *TOGETHER,
    "tests/integration/gateway/limits/test_attacks.py",
    "tests/integration",
    "tests/unit/engine",
    "tests",
)


def _first_of(folders: tuple[str, ...], nodeid: str) -> str | None:
    return next((folder for folder in folders if nodeid.startswith(folder)), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ORDER.index(_first_of(ORDER, item.nodeid) or "tests"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ModuleScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _first_of(TOGETHER, nodeid) or nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ModuleScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector: no module leaves garbage, and all stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
