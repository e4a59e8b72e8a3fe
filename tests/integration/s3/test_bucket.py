"""The composition's bucket: made once, and found by every later start."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.s3 import S3Server

COMPOSE = Path(__file__).parents[3] / "compose.yaml"


def test_the_bucket_is_made_once(s3_server: S3Server) -> None:
    shell, option, script = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["bucket"]["entrypoint"]
    script = script.replace("s3:9333", s3_server.master).replace("imageblur", "composed")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made = []
    for _ in range(2):
        done = subprocess.run(
            [shell, option, script],
            check=False,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        made.append("created bucket" in done.stdout)
    assert made == [True, False]
