"""Write tables of figures into docs/performance.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


@dataclass(frozen=True)
class Bar:
    """A measured value with its minimum and its aim."""

    what: str
    measured: float
    least: float
    aim: float
    at_most: bool = False
    """Whether lower is better: the minimum is a maximum."""

    def row(self) -> list[str]:
        """Return the row of the table of bars."""
        sign = -1 if self.at_most else 1
        verdict = next(
            (
                text
                for text, value in (("aim met", self.aim), ("met", self.least))
                if sign * self.measured >= sign * value
            ),
            "**not met**",
        )
        return [self.what, f"{self.measured:.3g}", f"{self.least:g}", f"{self.aim:g}", verdict]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(part: str, text: str, document: Path = DOCUMENT) -> None:
    """Replace the part of the document between its two markers, or append it."""
    begin, end = f"<!-- {part}: written by make bench -->", f"<!-- end of {part} -->"
    before = document.read_text(encoding="utf-8")
    head, _, rest = before.partition(begin)
    tail = rest.partition(end)[2]
    parts = [head.strip(), begin, text.strip(), end, tail.strip()]
    document.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def bars(each: Iterable[Bar]) -> str:
    """Return the table of bars."""
    return "### Bars\n\n" + table(["what", "measured", "at least (or most)", "aim", ""], [bar.row() for bar in each])
