"""Measure the stages of processing an image."""

import time


class StageTimer:
    """Splits the time since its creation into named stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Wall-clock time by stage, in the order of their first laps."""
        self._lap_start = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._lap_start
        self._lap_start = now
