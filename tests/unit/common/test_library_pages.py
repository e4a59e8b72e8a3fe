"""What a process gives back of the memory that holds its libraries."""

import json
import subprocess
import sys

import pytest

_CODE = """
import json, os
import numpy as np
from services.common.infra.process.library_pages import release_code

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

before = resident()
release_code()
released = before - resident()
square = np.full((64, 64), 2.0) @ np.eye(64)
print(json.dumps({"released": released, "sum": square.sum()}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is released")
def test_code_that_was_released_is_mapped_again_when_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["released"] > 2
    assert json.loads(done.stdout)["sum"] == 64 * 64 * 2
