"""What was done to the fleet and what came of it, one line a fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- written by make test-faults -->", "<!-- end -->"


@dataclass(frozen=True)
class Line:
    """One fault. seconds: from the fault to the last thing being right again."""

    fault: str
    stage: str
    database: str
    seen: str
    seconds: float
    losses: int = 0
    repeats: int = 0

    def cells(self) -> tuple[str, ...]:
        """As a row of the table."""
        return (
            self.fault,
            self.stage,
            self.database,
            self.seen,
            f"{self.seconds:.1f}",
            str(self.losses),
            str(self.repeats),
        )


TITLES = ("fault", "stage", "database", "what was seen", "seconds", "losses", "repeats")


def as_text(lines: Sequence[Line]) -> list[str]:
    """A table for a terminal."""
    rows = [TITLES, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_markdown(lines: Sequence[Line]) -> str:
    """A table for a document."""
    rows = [TITLES, ("---",) * len(TITLES), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(path: Path, lines: Sequence[Line]) -> None:
    """Put the table between its marks in a document."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{as_markdown(lines)}\n{END}{after}", encoding="utf-8")
