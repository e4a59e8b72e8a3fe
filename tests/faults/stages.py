"""Stages of the work at which a fault is to hit.

A case arms a stage by a file; the first process that comes there takes the file, by renaming it, and stays there until
it is killed or let go. So a case knows that its fault hits this stage, and which process and what work is there.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import eventually

FOLDER = "FAULTS_STAGES"
"""The variable that tells the services where the files are."""


@dataclass(frozen=True)
class Reached:
    """Who is at a stage, and with what."""

    stage: str
    pid: int
    work: str
    """What the stage was called with, as text: ids, keys and addresses are in it."""


class Stages:
    """The case's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def arm(self, stage: str) -> None:
        """Have the next process that comes there stay."""
        (self.folder / f"{stage}.armed").touch()

    def arm_all(self, stage: str) -> None:
        """Have every process that comes there stay."""
        (self.folder / f"{stage}.all").touch()

    def disarm(self, stage: str) -> None:
        """Let everyone pass, who is there too."""
        (self.folder / f"{stage}.all").unlink(missing_ok=True)
        for path in self.folder.glob(f"{stage}.*"):
            path.unlink()

    def reached(self, stage: str, pid: int | None = None) -> Reached | None:
        """Who is there: this process, or any."""
        for path in self.folder.glob(f"{stage}.at.{pid or '*'}"):
            if work := path.read_text():
                return Reached(stage, int(path.suffix[1:]), work)
        return None

    def wait_reached(self, stage: str, pid: int | None = None, within: float = 40.0) -> Reached:
        """Wait until this process is there, or any."""
        reached = eventually(lambda: self.reached(stage, pid), within)
        assert reached
        return reached

    def pace(self, seconds: float) -> None:
        """From now on let each image take so much longer."""
        draft = self.folder / "pace.draft"
        draft.write_text(str(seconds))
        draft.replace(self.folder / "pace")

    def move_clock(self, seconds: float) -> None:
        """From now on let the schedulers believe it is so much later than it is."""
        draft = self.folder / "clock.draft"
        draft.write_text(str(seconds))
        draft.replace(self.folder / "clock")


def reach(stage: str, *work: object) -> None:
    """The service's side: stay here if the stage is armed, until the file is removed."""
    folder = Path(os.environ[FOLDER])
    here = folder / f"{stage}.at.{os.getpid()}"
    try:
        (folder / f"{stage}.armed").rename(here)
    except FileNotFoundError:
        if not (folder / f"{stage}.all").exists():
            return
    here.write_text(f"{work!r} ")
    while here.exists():
        time.sleep(0.01)


def number(name: str) -> float:
    """The service's side: the seconds that a case has set under this name, or 0."""
    try:
        return float((Path(os.environ[FOLDER]) / name).read_text())
    except FileNotFoundError:
        return 0.0
