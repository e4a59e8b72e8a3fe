"""From what was read to the parts of lines that belong to classes."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from services.blur_worker.engine.finding.text.lines import Line
from services.blur_worker.engine.finding.text.recognition import Reading
from services.blur_worker.engine.finding.text.rows import rows
from services.blur_worker.engine.finding.text.rules import matches
from services.common.domain.spec import TextClass

_MARGIN = 1.0
"""Before and after a part, in characters: their positions are those of CTC, which are not exact."""


def classified(readings: list[Reading], wanted: Collection[TextClass]) -> Iterator[tuple[TextClass, Line]]:
    """Yield classes and the parts of lines that belong to them; the confidence is that of the reading and the rule."""
    for row in rows([reading.line for reading in readings]):
        yield from _in_row([readings[i] for i in row], wanted)


def _in_row(row: list[Reading], wanted: Collection[TextClass]) -> Iterator[tuple[TextClass, Line]]:
    found: dict[tuple[TextClass, int, int, int], float] = {}
    # A plate or an address may stand beside other text: the parts of a row are searched alone and together.
    for parts in [*([i] for i in range(len(row))), range(len(row))]:
        text = " ".join(row[i].text for i in parts)
        for match in matches(text):
            start = 0
            for i in parts:
                first, last = max(match.start - start, 0), min(match.end - start, len(row[i].text))
                if match.text_class in wanted and first < last:
                    key = match.text_class, i, first, last
                    found[key] = max(found.get(key, 0.0), row[i].confidence * match.certainty)
                start += len(row[i].text) + 1
    for (text_class, i, first, last), confidence in found.items():
        yield text_class, replace(_part(row[i], first, last), confidence=confidence)


def _part(reading: Reading, first: int, last: int) -> Line:
    """Return the part of a line with the characters from `first` to before `last`."""
    positions = reading.positions
    pitch = 1 / max(len(positions), 1)
    start = 0.0 if first == 0 else max((positions[first - 1] + positions[first]) / 2 - _MARGIN * pitch, 0.0)
    end = 1.0 if last == len(positions) else min((positions[last - 1] + positions[last]) / 2 + _MARGIN * pitch, 1.0)
    return reading.line.part(start, end)
