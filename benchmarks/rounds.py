"""Measure several functions in turn, so that a disturbance affects all of them."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass
class Measured:
    """Processor seconds and bytes of each round of one function."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """Median."""
        return 1000 * median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """A ratio of times: its median, and the range of nine of ten rounds."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.1f} ({self.low:.1f}–{self.high:.1f})"


def one_core() -> int | None:
    """Pin this process to one core and libraries to one thread; return the core, None if the system has no pinning."""
    for name in ("VIPS_CONCURRENCY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def interleaved(
    functions: Mapping[str, Callable[[bytes, float], bytes]], inputs: Sequence[bytes], sigma: float, rounds: int
) -> dict[str, Measured]:
    """Call every function once a round, on one input after another; the first round is not counted."""
    found = {name: Measured() for name in functions}
    for number in range(rounds + 1):
        data = inputs[number % len(inputs)]
        for name, function in functions.items():
            begin = time.process_time()
            result = function(data, sigma)
            taken = time.process_time() - begin
            if number:
                found[name].seconds.append(taken)
                found[name].sizes.append(len(result))
    return found


def ratio(of: Measured, to: Measured) -> Ratio:
    """Return the ratio of times, round by round."""
    each = [one / other for one, other in zip(of.seconds, to.seconds, strict=True)]
    tenths = quantiles(each, n=20) if len(each) > 1 else each * 19
    return Ratio(median(each), tenths[0], tenths[-1])


def size_ratio(of: Measured, to: Measured) -> float:
    """Return the ratio of bytes."""
    return sum(of.sizes) / sum(to.sizes)
