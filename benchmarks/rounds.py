"""Measures several ways of doing the same, in turn: what disturbs one disturbs all."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass
class Measured:
    """One way: processor seconds and bytes of each round."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """Median."""
        return 1000 * median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """How many times as long another way takes: median, and between which values nine of ten rounds lie."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.1f} ({self.low:.1f}–{self.high:.1f})"


def one_core() -> int | None:
    """Keep this process on one core, and libraries to one thread; the core, if the system can do that."""
    for name in ("VIPS_CONCURRENCY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def interleaved(
    ways: Mapping[str, Callable[[bytes, float], bytes]], inputs: Sequence[bytes], sigma: float, rounds: int
) -> dict[str, Measured]:
    """Every way once for each round, on one input after another; the first round of all is not counted."""
    found = {name: Measured() for name in ways}
    for number in range(rounds + 1):
        data = inputs[number % len(inputs)]
        for name, way in ways.items():
            begin = time.process_time()
            result = way(data, sigma)
            taken = time.process_time() - begin
            if number:
                found[name].seconds.append(taken)
                found[name].sizes.append(len(result))
    return found


def ratio(of: Measured, to: Measured) -> Ratio:
    """How many times as long `of` takes as `to`, round by round."""
    each = [one / other for one, other in zip(of.seconds, to.seconds, strict=True)]
    tenths = quantiles(each, n=20) if len(each) > 1 else each * 19
    return Ratio(median(each), tenths[0], tenths[-1])


def size_ratio(of: Measured, to: Measured) -> float:
    """How many times the bytes."""
    return sum(of.sizes) / sum(to.sizes)
