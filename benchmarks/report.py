"""Tables of figures, in Markdown, put where a document has a place for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- written by make bench -->", "<!-- until here -->"


@dataclass(frozen=True)
class Bar:
    """A promise in figures: what was measured, what it has to be at least, what it aims at."""

    what: str
    measured: float
    least: float
    aim: float
    at_most: bool = False
    """Whether less is better."""

    def row(self) -> list[str]:
        """Of the table of bars."""
        sign = -1 if self.at_most else 1
        verdict = next(
            (
                text
                for text, value in (("aim met", self.aim), ("met", self.least))
                if sign * self.measured >= sign * value
            ),
            "**not met**",
        )
        return [self.what, f"{self.measured:.2f}", f"{self.least:g}", f"{self.aim:g}", verdict]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(text: str, document: Path = DOCUMENT) -> None:
    """Replace what is between the marks in the document, or add it at the end."""
    before = document.read_text(encoding="utf-8")
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2]
    document.write_text(f"{head.rstrip()}\n\n{BEGIN}\n\n{text.strip()}\n\n{END}\n{tail.lstrip()}", encoding="utf-8")
