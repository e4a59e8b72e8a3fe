"""How pytest runs here: how many processes, and one line about a missing browser."""

import os
import shutil
import signal
import sys
from typing import Any

import pytest
from hypothesis import settings

INSTALL_BROWSER = "tools/install_browser.sh"
# Otherwise each of the hundreds of processes that tests start compiles its libraries anew, which takes seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A shell that runs pytest in the background has its children ignore Ctrl-C, and theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A deadline for an example measures the machine and what else runs on it.
settings.register_profile("imageblur", deadline=None)
settings.load_profile("imageblur")
_without_browser = pytest.StashKey[int]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than cores: tests wait for servers half of the time, those of a stack and of its pages nearly always."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not shutil.which("chromium"):
        _leave_out_browser(config, items)


def _leave_out_browser(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if "browser" in _fixtures(item)]
    if left_out and os.environ.get("CI") == "true":
        raise pytest.UsageError(f"chromium is not installed: {INSTALL_BROWSER}")
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    config.stash[_without_browser] = len(left_out)
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["without_browser"] = len(left_out)


def _fixtures(item: pytest.Item) -> dict[str, Any]:
    """The fixtures of a test, by name."""
    return item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of pytest-xdist: take over what one of its processes has found."""
    node.config.stash[_without_browser] = getattr(node, "workeroutput", {}).get("without_browser", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(_without_browser, 0):
        terminalreporter.write_line(
            f"{count} tests need a browser and were left out; this installs it: {INSTALL_BROWSER}", yellow=True
        )
