"""What `services.common.infra.process.fork_server` relies on in the standard library."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from services.common.domain.errors import ConfigurationError
from services.common.infra.process import socket_folder
from services.common.infra.process.fork_server import keep_sockets_in

CODE = """
import multiprocessing, sys
from pathlib import Path
from services.common.infra.process.fork_server import SOCKETS, keep_sockets_in

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    keep_sockets_in(folder)
    process = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",))
    process.start()
    process.join()
    print(len(list(folder.glob(SOCKETS))), len(list(folder.iterdir())), process.exitcode)
"""


BY_FORK = """
import asyncio, multiprocessing, os, sys, threading
from pathlib import Path
from services.common.infra.process.fork_server import keep_sockets_in, start_by_fork, start_no_tracker

here = []

def show(lock):
    print("forked", bool(here), os.path.exists(f"/proc/self/fd/{lock}"), flush=True)

def show_of_another(lock):
    process = multiprocessing.get_context("forkserver").Process(target=show, args=(lock,))
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    process.join()

async def main():
    folder = Path(sys.argv[1])
    keep_sockets_in(folder)
    start_no_tracker()
    here.append("in memory of the process that forks")
    lock = os.open(folder / "lock", os.O_CREAT)
    os.set_inheritable(lock, True)
    start_by_fork([])
    for target in (show, show_of_another):
        process = multiprocessing.get_context("forkserver").Process(target=target, args=(lock,))
        process.start()
        process.join()
    from multiprocessing import resource_tracker
    print(resource_tracker._resource_tracker._pid)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_fork_server_listens_where_it_is_told(tmp_path: Path) -> None:
    shown = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert sorted(shown.stdout.splitlines()) == ["1 1 0", "forked"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries of the system do not survive a fork")
def test_a_fork_server_shares_the_memory_and_no_descriptors_and_its_forks_can_have_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BY_FORK, "utf-8")
    shown = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines() == ["forked True False", "forked False False", "None"]
    assert shown.stderr == ""


@pytest.mark.parametrize("preload", ["services.blur_worker.warm_engine", "services.stack.supervision.preload"])
def test_forks_of_what_is_loaded_collect_garbage(preload: str) -> None:
    code = (
        "import gc, services.common.infra.process.collect_later\n"
        f"import {preload}; print(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "True"]


IN_A_WORKER_S_FOLDER = """
import multiprocessing
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.common.infra.process.fork_server import keep_sockets_in
from services.common.infra.process.socket_folder import socket_parent

if __name__ == "__main__":
    folder = ScratchFolder(socket_parent())
    keep_sockets_in(folder.path)
    process = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",))
    process.start()
    process.join()
    folder.close()
"""


def test_a_long_temporary_folder_keeps_no_worker_from_its_children(tmp_path: Path) -> None:
    temporary = tmp_path / ("long" * 25)
    temporary.mkdir()
    script = tmp_path / "script.py"
    script.write_text(IN_A_WORKER_S_FOLDER)
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "forked\n"
    with pytest.raises(ConfigurationError, match="TMPDIR is too long"):
        keep_sockets_in(temporary)


def test_sockets_are_where_a_folder_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / ("long" * 25)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(socket_folder, "USUAL_FOLDERS", (tmp_path / "none", tmp_path))
    assert socket_folder.socket_parent() == tmp_path
    monkeypatch.setattr(socket_folder, "USUAL_FOLDERS", (tmp_path / "none",))
    with pytest.raises(ConfigurationError, match="Set TMPDIR to a folder with a shorter path"):
        keep_sockets_in(socket_folder.socket_parent())
