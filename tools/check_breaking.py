"""Check that the protos break no client of the last release: `buf breaking` against its tag."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Exit with 1 if the protos differ from those of the last release in a way that breaks clients."""
    listed = subprocess.run(
        ["git", "tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    tag = next(iter(listed.stdout.split()), None)
    if tag is None:
        print("No release is tagged here: nothing to compare the protos with")
        return
    buf = Path(sys.executable).with_name("buf")
    against = f".git#tag={tag},subdir=protos"
    sys.exit(subprocess.run([buf, "breaking", "protos", "--against", against], cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
