"""What a child process keeps of an image's memory, and what it returns."""

import json
import platform
import subprocess
import sys

import pytest

_CODE = """
import json, os, resource
import numpy as np
from services.blur_worker.engine import kept_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

def use_memory():
    arrays = [np.ones(4 << 20, np.uint8) for _ in range(4)]
    arrays.append(np.ones(24 << 20, np.uint8))

kept_memory.keep()
use_memory()
kept = resident()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use_memory()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
kept_memory.release()
print(json.dumps({"faults": faults, "released": kept - resident()}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of other systems nothing is asked")
def test_memory_is_kept_for_the_next_image_and_released_when_there_is_none() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["faults"] < 10_000  # 40 MiB have 10,000 pages, each of five times
    assert found["released"] > 30
