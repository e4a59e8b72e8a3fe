"""`python -m benchmarks.attacks`: attack every effect, and fail if Redact or Solid is better than guessing."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.attacks import faces, text
from benchmarks.attacks.score import Score
from services.common.domain.spec import Effect, Gaussian, Pixelate, Redact, Solid


def effects(height: int) -> dict[str, Effect | None]:
    """Return the effects that are attacked, for something of this height in pixels."""
    found: dict[str, Effect | None] = {"nothing hidden": None}
    found |= {f"Gaussian, sigma height / {part}": Gaussian(height / part) for part in (8, 6, 4, 2)}
    found |= {f"Pixelate, cells of height / {part}": Pixelate(max(height // part, 2)) for part in (8, 4, 2)}
    return found | {"Redact": Redact(), "Solid": Solid()}


def main() -> int:
    """Run all attacks and print what they find."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, help="a folder of photographs: their faces are attacked too, in colour")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    grey, plates, numbers = faces.gallery(), text.plates(arguments.seed), text.numbers(arguments.seed)
    targets: dict[str, tuple[int, Callable[[Effect | None], Score]]] = {
        f"{len(grey)} faces": (faces.SIDE, lambda effect: faces.attack(grey, effect, arguments.seed)),
        f"{len(plates)} number plates": (text.HEIGHT, lambda effect: text.attack(plates, effect, arguments.seed)),
        f"{len(numbers)} numbers of six digits": (
            text.HEIGHT,
            lambda effect: text.attack(numbers, effect, arguments.seed),
        ),
    }
    if arguments.faces:
        found = faces.from_folder(arguments.faces)
        name = f"{len(found)} faces of {arguments.faces}"
        targets[name] = faces.SIDE, lambda effect: faces.attack(found, effect, arguments.seed)
    failed = False
    for name, (height, attack) in targets.items():
        print(f"\n{name}: accuracy of the attack, with its 99 % confidence interval")
        for effect_name, effect in effects(height).items():
            score = attack(effect)
            broken = isinstance(effect, Redact | Solid) and score.better_than_guessing
            failed |= broken
            print(f"{effect_name:36}{score}{'  BETTER THAN GUESSING' if broken else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
