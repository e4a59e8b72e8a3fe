"""What `services.common.infra.fork_server` relies on in the standard library."""

import subprocess
import sys
from pathlib import Path

CODE = """
import multiprocessing, sys
from pathlib import Path
from services.common.infra.fork_server import SOCKETS, keep_sockets_in

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    keep_sockets_in(folder)
    process = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",))
    process.start()
    process.join()
    print(len(list(folder.glob(SOCKETS))), len(list(folder.iterdir())), process.exitcode)
"""


def test_a_fork_server_listens_where_it_is_told(tmp_path: Path) -> None:
    shown = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert sorted(shown.stdout.splitlines()) == ["1 1 0", "forked"]
