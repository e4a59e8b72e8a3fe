"""What happened in a span of time, as numbers that add up."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_COUNTS = ("orders", "succeeded", "failed", "failed_by_service", "clean", "remaining", "emails")
_STEP = math.log(1.05)
"""Step of the logarithms of durations: a percentile of summaries is off by 2.5 % at most."""


@dataclass
class Point:
    """A step of a time series, from `start`; times in microseconds."""

    start: int
    orders: int = 0
    succeeded: int = 0
    failed: int = 0
    failed_by_service: int = 0
    clean: int = 0
    remaining: int = 0
    """Checks of results, by outcome."""
    findings: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By kind: how many there are, and how many were hidden."""
    emails: int = 0
    waits: Counter[int] = field(default_factory=Counter)
    """How many images waited so long for a worker."""
    works: Counter[int] = field(default_factory=Counter)
    """How many images took a worker so long."""

    def add(self, other: "Point") -> None:
        """Add the numbers of another point."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, (found, hidden) in other.findings.items():
            self.add_findings(kind, found, hidden)
        self.waits.update(other.waits)
        self.works.update(other.works)

    def add_findings(self, kind: str, found: int, hidden: int) -> None:
        """Add findings of a kind."""
        before = self.findings.get(kind, (0, 0))
        self.findings[kind] = (before[0] + found, before[1] + hidden)

    def is_empty(self) -> bool:
        """Return whether nothing happened."""
        return not any(getattr(self, name) for name in _COUNTS) and not self.works and not self.findings

    def to_json(self) -> str:
        """Return the numbers for `from_json`, durations rounded to steps of 5 %."""
        values: dict[str, Any] = {name: count for name in _COUNTS if (count := getattr(self, name))}
        if self.findings:
            values["findings"] = self.findings
        for name in ("waits", "works"):
            if durations := getattr(self, name):
                rounded: Counter[int] = Counter()
                for duration, count in durations.items():
                    rounded[round(math.log(max(1, duration)) / _STEP)] += count
                values[name] = rounded
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, start: int, text: str) -> "Point":
        """Return what `to_json` has written."""
        values = json.loads(text)
        for name in ("waits", "works"):
            durations = values.get(name, {}).items()
            values[name] = Counter({round(math.exp(int(place) * _STEP)): count for place, count in durations})
        values["findings"] = {kind: (found, hidden) for kind, (found, hidden) in values.get("findings", {}).items()}
        return cls(start, **values)
