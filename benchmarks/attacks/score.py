"""How often an attack succeeds, against guessing."""

import math
from dataclasses import dataclass

_Z = 2.576
"""For 99 %: a run compares a dozen of them."""


@dataclass(frozen=True)
class Score:
    """The outcome of an attack."""

    right: int
    trials: int
    candidates: int
    """Of which one is right."""

    @property
    def accuracy(self) -> float:
        """Right answers as a fraction."""
        return self.right / self.trials

    @property
    def chance(self) -> float:
        """What guessing gives."""
        return 1 / self.candidates

    @property
    def interval(self) -> tuple[float, float]:
        """The 99 % confidence interval of the accuracy. Source: Wilson, 1927."""
        n, p = self.trials, self.accuracy
        center = p + _Z**2 / (2 * n)
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        scale = 1 + _Z**2 / n
        return max((center - half) / scale, 0.0), min((center + half) / scale, 1.0)

    @property
    def better_than_guessing(self) -> bool:
        """Whether chance lies below the interval."""
        return self.interval[0] > self.chance

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.accuracy:7.2%}  [{low:6.2%}, {high:6.2%}]  chance {self.chance:.2%}"
