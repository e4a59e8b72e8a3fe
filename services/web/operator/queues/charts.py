"""Small charts as SVG, rendered here so that the browser needs no script.

Colours come from the style sheet by the class of each series, for light and dark mode.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 600.0, 120.0
"""Units of the SVG, which is stretched to the available space."""


@dataclass(frozen=True)
class ChartSeries:
    """Values from the oldest to the newest, None where there is none; name: the CSS class."""

    name: str
    values: Sequence[float | None]


def highest(series: Sequence[ChartSeries], *, stacked: bool) -> float:
    """Return the highest value that is drawn; 0 if there is none."""
    columns = zip(*(one.values for one in series), strict=True)
    if stacked:
        return max((sum(value or 0 for value in column) for column in columns), default=0)
    return max((value for column in columns for value in column if value is not None), default=0)


def bars(*series: ChartSeries) -> Markup:
    """Draw stacked bars, one for each step."""
    scale = HEIGHT / (highest(series, stacked=True) or 1)
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
    return _svg(drawn)


def lines(*series: ChartSeries) -> Markup:
    """Draw a line for each series, with gaps where there are no values."""
    scale = HEIGHT / (highest(series, stacked=False) or 1)
    drawn = []
    for one in series:
        step = WIDTH / max(1, len(one.values))
        path = "".join(_path(one.values, step, scale))
        if path:
            drawn.append(f'<path class="{one.name}" d="{path}"/>')
    return _svg(drawn)


def _path(values: Sequence[float | None], step: float, scale: float) -> Iterator[str]:
    drawing = False
    for index, value in enumerate(values):
        if value is not None:
            x, y = (index + 0.5) * step, HEIGHT - value * scale
            # A line begins with a short stroke, so that a single value is visible.
            yield f"L{x:.1f} {y:.1f}" if drawing else f"M{x - step / 3:.1f} {y:.1f}H{x:.1f}"
        drawing = value is not None


def _svg(drawn: Sequence[str]) -> Markup:
    grid = "".join(f'<path class="grid" d="M0 {HEIGHT * share:.0f}H{WIDTH:.0f}"/>' for share in (0.25, 0.5, 0.75))
    return Markup(  # noqa: S704 - numbers, and names from this code
        f'<svg class="chart-svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none" aria-hidden="true" '
        f'focusable="false">{grid}{"".join(drawn)}</svg>'
    )
