"""How an image is searched at each effort."""

from dataclasses import dataclass

from services.blur_worker.engine.finding.faces.pyramid import Level
from services.common.domain.spec import Effort

_SOME_LOOKS = 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of an effort."""

    reduction: int
    """The first look is at 1 / this of the image, at half of that, and so on."""
    certain_from: float = 0.5
    """Confidence from which the first look is enough."""
    smallest: int = 0
    """Height in pixels from which a face that is not certain gets a second look."""
    upright_from: float
    """Confidence of the first look from which a second one is worth while."""
    turned_from: float = 1.0
    """Likewise for turned faces, which the first look hardly sees."""
    smallest_turned: int = 16
    """Height in pixels."""
    turns: tuple[float, ...] = ()
    """In degrees, clockwise."""
    full_size: bool = False
    """Whether to look at small candidates at the image's full size too."""
    looks_per_megapixel: int
    """Most second looks of either kind per megapixel, besides `_SOME_LOOKS`: bounds the time for many doubts."""

    def looks(self, levels: list[Level]) -> int:
        """Return how many second looks of one kind an image may get."""
        return _SOME_LOOKS + round(self.looks_per_megapixel * levels[0].megapixels)


PLANS = {
    Effort.FAST: Plan(reduction=2, certain_from=0.4, smallest=44, upright_from=0.2, looks_per_megapixel=20),
    Effort.BALANCED: Plan(
        reduction=2,
        full_size=True,
        upright_from=0.05,
        turned_from=0.02,
        turns=(-90, -38, 38, 90),
        looks_per_megapixel=100,
    ),
    Effort.THOROUGH: Plan(
        reduction=1,
        upright_from=0.03,
        turned_from=0.02,
        turns=(-142, -90, -38, 38, 90, 142, 180),
        looks_per_megapixel=300,
    ),
}
