"""What was done to the fleet and what came of it, one line a fault."""

from collections.abc import Iterable, Iterator, Sequence
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


TITLES = ("fault", "stage", "database", "what was seen", "seconds", "losses", "repeats")


def _rows(lines: Sequence[Line]) -> Iterator[Sequence[str]]:
    """The rows of the table: one for a fault at a stage, with what was measured on each database where that differs."""
    together: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        together.setdefault((line.fault, line.stage), []).append(line)
    for (fault, stage), found in together.items():
        yield (
            fault,
            stage,
            ", ".join(line.database for line in found),
            found[0].seen,
            _each(f"{line.seconds:.1f}" for line in found),
            _each(str(line.losses) for line in found),
            _each(str(line.repeats) for line in found),
        )


def _each(values: Iterable[str]) -> str:
    """One value for all, or that of each."""
    found = list(values)
    return found[0] if len(set(found)) == 1 else ", ".join(found)


def as_text(lines: Sequence[Line]) -> list[str]:
    """A table for a terminal."""
    rows = [TITLES, *_rows(lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_markdown(lines: Sequence[Line]) -> str:
    """A table for a document."""
    rows = [TITLES, ("---",) * len(TITLES), *_rows(lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(path: Path, lines: Sequence[Line]) -> None:
    """Put the table between its marks in a document."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{as_markdown(lines)}\n{END}{after}", encoding="utf-8")
