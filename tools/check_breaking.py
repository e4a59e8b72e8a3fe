"""Check that the protos break no client of the last release: `buf breaking` against its tag."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def check(root: Path) -> int:
    """Return 1 or more if the protos of a checkout differ from those of its last release so that clients break.

    Without git, or where no release is tagged, as in a source archive or a shallow clone, nothing is compared.
    """
    if (tag := _last_release(root)) is None:
        print("No release is tagged here: nothing to compare the protos with")
        return 0
    buf = Path(sys.executable).with_name("buf")
    against = f".git#tag={tag},subdir=protos"
    return subprocess.run([buf, "breaking", "protos", "--against", against], cwd=root, check=False).returncode


def _last_release(root: Path) -> str | None:
    if (git := shutil.which("git")) is None or not (root / ".git").exists():
        return None
    tags = [git, "tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname"]
    listed = subprocess.run(tags, cwd=root, capture_output=True, text=True, check=False)
    return next(iter(listed.stdout.split()), None)


if __name__ == "__main__":
    sys.exit(check(ROOT))
