"""Small plots as SVG, drawn here: the browser gets a picture, and needs no script for it.

Colours come from the style sheet by the classes of the series, so that they fit light and dark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 600.0, 120.0
"""Units of the picture, which is stretched to the room that it has."""


@dataclass(frozen=True)
class Series:
    """Values from the oldest to the newest, None where there is none; name: the class that gives it its colour."""

    name: str
    values: Sequence[float | None]


def top(series: Sequence[Series], *, stacked: bool) -> float:
    """The highest value that is drawn; 0 if there is none."""
    columns = zip(*(one.values for one in series), strict=True)
    if stacked:
        return max((sum(value or 0 for value in column) for column in columns), default=0)
    return max((value for column in columns for value in column if value is not None), default=0)


def bars(*series: Series) -> Markup:
    """A column for each step, the series one upon the other."""
    scale = HEIGHT / (top(series, stacked=True) or 1)
    count = len(series[0].values)
    step = WIDTH / max(1, count)
    drawn = []
    for index in range(count):
        base = HEIGHT
        for one in series:
            height = (one.values[index] or 0) * scale
            if height:
                base -= height
                drawn.append(
                    f'<rect class="{one.name}" x="{index * step + step * 0.1:.1f}" y="{base:.1f}" '
                    f'width="{step * 0.8:.1f}" height="{height:.1f}"/>'
                )
    return _picture(drawn)


def lines(*series: Series) -> Markup:
    """A line for each series; it is broken where there are no values, and one by itself is a stroke."""
    scale = HEIGHT / (top(series, stacked=False) or 1)
    drawn = []
    for one in series:
        step = WIDTH / max(1, len(one.values))
        path = "".join(_strokes(one.values, step, scale))
        if path:
            drawn.append(f'<path class="{one.name}" d="{path}"/>')
    return _picture(drawn)


def _strokes(values: Sequence[float | None], step: float, scale: float) -> Iterator[str]:
    drawing = False
    for index, value in enumerate(values):
        if value is not None:
            x, y = (index + 0.5) * step, HEIGHT - value * scale
            # Begun with a stroke of its own, so that one by itself is seen.
            yield f"L{x:.1f} {y:.1f}" if drawing else f"M{x - step / 3:.1f} {y:.1f}H{x:.1f}"
        drawing = value is not None


def _picture(drawn: Sequence[str]) -> Markup:
    grid = "".join(f'<path class="grid" d="M0 {HEIGHT * share:.0f}H{WIDTH:.0f}"/>' for share in (0.25, 0.5, 0.75))
    return Markup(  # noqa: S704 - numbers and names of our own
        f'<svg class="plot" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none" aria-hidden="true" '
        f'focusable="false">{grid}{"".join(drawn)}</svg>'
    )
