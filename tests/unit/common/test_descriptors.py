"""The limit of open files."""

import resource
import subprocess
import sys

from services.common.infra.process import descriptors

CODE = """
import resource
from services.common.infra.process import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2000))
assert descriptors.max_connections() == 128
descriptors.raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], descriptors.max_connections())
"""


def test_the_limit_is_raised_and_connections_leave_room_for_files() -> None:
    raised = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert raised.stdout.split() == ["2000", str(2000 - descriptors.RESERVED)]


def test_a_high_limit_stays() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(before[0], descriptors.WANTED)
