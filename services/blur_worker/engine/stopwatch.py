"""How long each stage of an image took."""

import time


class Stopwatch:
    """Started when made; a lap is the time since the lap before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """By stage, in their order."""
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """What was done since the last lap was this stage; a stage may come in several parts."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
